"""Schedules, as the SDK has them, on a server that dies and comes back on the same file."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleHandle,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from tests.support.process import ANY_PORTS, dev, start
from tests.support.sdk import worker

KILLS = 3


@workflow.defn
class Brief:
    @workflow.run
    async def run(self) -> str:
        return "done"


async def until(handle: ScheduleHandle, condition: Callable[[ScheduleDescription], bool]) -> ScheduleDescription:
    """Look at a schedule until something holds of it."""
    async with asyncio.timeout(30):
        while not condition(described := await handle.describe()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return described


def each_second(task_queue: str, overlap: ScheduleOverlapPolicy) -> Schedule:
    return Schedule(
        action=ScheduleActionStartWorkflow(Brief.run, id="brief", task_queue=task_queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))]),
        policy=SchedulePolicy(overlap=overlap),
    )


async def test_no_second_is_lost_or_doubled(tmp_path: Path) -> None:
    arguments = ("--db", str(tmp_path / "data.db"))
    server = await start(*arguments, *ANY_PORTS)
    try:
        client = await Client.connect(server.address)
        async with worker(client, [Brief]) as running:
            handle = await client.create_schedule("s", each_second(running.task_queue, ScheduleOverlapPolicy.ALLOW_ALL))
            for kill in range(KILLS):
                await until(handle, lambda described, kill=kill: described.info.num_actions > 2 * kill)  # type: ignore[misc]
                await server.stop(signal.SIGKILL)
                server = await start(*arguments, "--port", server.port, "--http-port", "0")
            await until(handle, lambda described: described.info.num_actions > 2 * KILLS)
            await handle.pause(note="enough")
            fired = [each.id async for each in client.list_workflows("TemporalScheduledById = 's'")]
        times = sorted(datetime.fromisoformat(each.removeprefix("brief-").removesuffix("Z")) for each in fired)
        assert max(Counter(times).values()) == 1
        assert times == [times[0] + timedelta(seconds=number) for number in range(len(times))]
    finally:
        await server.stop(signal.SIGKILL)


async def test_a_workflow_that_ends_makes_room() -> None:
    async with dev("--ephemeral", *ANY_PORTS) as server:
        client = await Client.connect(server.address)
        async with worker(client, [Brief]) as running:
            handle = await client.create_schedule("s", each_second(running.task_queue, ScheduleOverlapPolicy.SKIP))
            described = await until(handle, lambda described: described.info.num_actions >= 2)
            assert described.info.num_actions_skipped_overlap == 0
            assert [each.id async for each in await client.list_schedules()] == ["s"]
            await handle.delete()
            assert not [each async for each in await client.list_schedules()]
