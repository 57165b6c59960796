"""`perdure dev` as a process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

COMMAND = [sys.executable, "-c", "from perdure.infra.cli import main; main()"]
ANY_PORTS = ["--port", "0", "--http-port", "0"]
START_S_MAX = 30


class Process:
    """A running `perdure dev` and where it listens; `mutual_address` is for certificates, if it asks for any."""

    def __init__(self, process: asyncio.subprocess.Process, ready_line: str) -> None:
        self.process = process
        self.ready_line = ready_line
        self.address = ready_line.split("gRPC ")[1].split(",")[0]
        self.mutual_address = ready_line.partition("mTLS ")[2].partition(",")[0]
        self.http = ready_line.split("HTTP ")[1].split(",")[0]

    @property
    def port(self) -> str:
        return self.address.rpartition(":")[2]

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await asyncio.wait_for(self.process.wait(), START_S_MAX)


async def start(*arguments: str, stderr: IO[str] | None = None) -> Process:
    """Returns when it is ready."""
    child = await asyncio.create_subprocess_exec(
        *COMMAND, "dev", *arguments, stdout=asyncio.subprocess.PIPE, stderr=stderr
    )
    assert child.stdout is not None
    try:
        line = (await asyncio.wait_for(child.stdout.readline(), START_S_MAX)).decode()
        assert line.startswith("Perdure ready"), line
    except BaseException:
        if child.returncode is None:
            child.kill()
            await child.wait()
        raise
    return Process(child, line)


@asynccontextmanager
async def dev(*arguments: str, stderr: IO[str] | None = None) -> AsyncIterator[Process]:
    """A server that is gone when the block is left."""
    process = await start(*arguments, stderr=stderr)
    try:
        yield process
    finally:
        await process.stop(signal.SIGKILL)
