"""A server that dies or is stopped under load, and one that comes back on the same file."""

from __future__ import annotations

import asyncio
import random
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from perdure.kernel.metering.actions import START
from tests.support.process import ANY_PORTS, Process, dev, start
from tests.support.sdk import until, worker
from tests.support.usage import check_file
from tests.wire.sdk.load import Activities, Busy, Child, Driver, Heard, check

WORKFLOWS = 60
AT_ONCE = 15
ENDS = 4


class Acknowledgements:
    """Counts them, and lets somebody wait for one to come."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []

    def one_more(self) -> None:
        self.count += 1
        for at, future in self._waiting:
            if self.count >= at and not future.done():
                future.set_result(None)

    async def more(self, count: int) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((self.count + count, future))
        await future


@pytest.mark.parametrize(("number", "seed"), [(signal.SIGKILL, 1), (signal.SIGKILL, 2), (signal.SIGTERM, 3)])
async def test_ends_under_load(tmp_path: Path, number: signal.Signals, seed: int) -> None:
    """The server is ended at random moments, with calls under way, and started again."""
    moments = random.Random(seed)
    arguments = ("--db", str(tmp_path / "data.db"))
    server = await start(*arguments, *ANY_PORTS)
    try:
        client = await Client.connect(server.address)
        activities = Activities()
        acknowledgements = Acknowledgements()
        async with worker(client, [Busy, Child], [activities.once, activities.flaky]) as running:
            driver = Driver(client, running.task_queue, acknowledgements.one_more)
            free = asyncio.Semaphore(AT_ONCE)

            async def drive(workflow_id: str) -> Heard:
                async with free:
                    return await driver.drive(workflow_id)

            names = [f"busy-{number}" for number in range(WORKFLOWS)]
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                driving = {name: group.create_task(drive(name)) for name in names}
                for _ in range(ENDS):
                    await acknowledgements.more(moments.randint(30, 110))
                    # Anywhere between two acknowledgements, not only right after one.
                    await asyncio.sleep(moments.uniform(0, 0.02))
                    server = await ended_and_started_again(server, number, arguments)
            await check(driver, {name: task.result() for name, task in driving.items()}, activities.runs_of_once)
        assert check_file(tmp_path / "data.db")[START] == 2 * WORKFLOWS
    finally:
        await server.stop(signal.SIGKILL)


async def ended_and_started_again(server: Process, number: signal.Signals, arguments: tuple[str, ...]) -> Process:
    assert await server.stop(number) == (0 if number == signal.SIGTERM else -number)
    return await start(*arguments, "--port", server.port, "--http-port", "0")


async def test_sigterm_is_graceful_and_the_next_start_goes_on(tmp_path: Path) -> None:
    arguments = ("--db", str(tmp_path / "data.db"))
    activities = Activities()
    async with dev(*arguments, *ANY_PORTS) as first:
        client = await Client.connect(first.address)
        async with worker(client, [Busy, Child], [activities.once, activities.flaky]) as running:
            handle = await client.start_workflow(
                Busy.run, id="busy", task_queue=running.task_queue, task_timeout=timedelta(seconds=2)
            )
            await until(handle, EventType.EVENT_TYPE_CHILD_WORKFLOW_EXECUTION_STARTED)
            await handle.signal(Busy.hear, "before")
            async with asyncio.timeout(10):
                assert await first.stop(signal.SIGTERM) == 0
            async with dev(*arguments, "--port", first.port, "--http-port", "0"):
                await handle.signal(Busy.hear, "after")
                await handle.signal(Busy.finish)
                assert await handle.result() == (["before", "after"], [])
    assert activities.runs_of_once["busy"] == 1
