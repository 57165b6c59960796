"""The process that holds the SDK's worker and client: `python -m loadtests.driver ADDRESS`.

Reads one request a line from standard input, does it, and answers with one line of JSON. It measures latencies; what
the server spends meanwhile is measured by whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtests.transitions import PROBES, ScriptedWorkflow, prepare, store, transitions
from loadtests.workloads import ACTIVITIES, TASK_QUEUE, WORKFLOWS, WORKLOADS, Size


class Driver:
    """The asking side: a handle on the process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def ask(self, action: str, **arguments: Any) -> Any:
        """Have something done, and return its result.

        Raises:
            RuntimeError: the process has failed; its own output says why.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **arguments}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the driver ended during {action}")
        return json.loads(line)


@contextmanager
def driving(address: str) -> Iterator[Driver]:
    """A driver that is connected to this server."""
    command = [sys.executable, "-m", "loadtests.driver", address]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        driver = Driver(process)
        driver.ask("ready")
        yield driver
        driver.ask("quit")
        process.wait(20)
    finally:
        process.kill()
        process.wait()


class _Actions:
    """The working side."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._scripted: dict[tuple[str, int], ScriptedWorkflow] = {}

    async def ready(self) -> None:
        return None

    async def workload(self, name: str, units: int, concurrency: int) -> dict[str, Any]:
        began = time.perf_counter()
        latencies = await WORKLOADS[name].run(self._client, Size(units, concurrency))
        return {"seconds": time.perf_counter() - began, "latencies": latencies}

    async def prepare(self, probe: str, size: int) -> None:
        self._scripted[probe, size] = await prepare(self._client, PROBES[probe], size)

    async def transitions(self, probe: str, size: int, count: int) -> dict[str, Any]:
        began = time.perf_counter()
        latencies = await transitions(self._scripted[probe, size], count)
        return {"seconds": time.perf_counter() - began, "latencies": latencies}

    async def store(self, count: int) -> None:
        await store(self._client, count)


def _answers() -> TextIO:
    """Standard output, for answers only. The SDK's core logs there too: to standard error from now on."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


async def _serve(address: str, answers: TextIO) -> None:
    client = await Client.connect(address)
    actions = _Actions(client)
    worker = Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=WORKFLOWS,
        activities=ACTIVITIES,
        # The sandbox costs worker CPU on the machine that is measured, and says nothing about the server.
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_concurrent_activities=500,
        max_concurrent_workflow_tasks=500,
    )
    async with worker:
        while line := await asyncio.to_thread(sys.stdin.readline):
            request = json.loads(line)
            action = request.pop("action")
            result = None if action == "quit" else await getattr(actions, action)(**request)
            print(json.dumps(result), file=answers, flush=True)
            if action == "quit":
                return


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], _answers()))
