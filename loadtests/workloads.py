"""What is measured: workloads for the official SDK, and probes of the cost of single transitions.

Every workload is a coroutine `(client, size) -> list of latencies in seconds`, one for each unit of work.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client

TASK_QUEUE = "bench"


@activity.defn
async def echo(value: str) -> str:
    return value


@workflow.defn
class OneActivity:
    @workflow.run
    async def run(self, value: str) -> str:
        return await workflow.execute_activity(echo, value, start_to_close_timeout=timedelta(seconds=60))


@workflow.defn
class Sequence:
    @workflow.run
    async def run(self, count: int) -> None:
        for number in range(count):
            await workflow.execute_activity(echo, str(number), start_to_close_timeout=timedelta(seconds=60))


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self, count: int) -> None:
        timeout = timedelta(seconds=60)
        started = [workflow.start_activity(echo, str(n), start_to_close_timeout=timeout) for n in range(count)]
        await asyncio.gather(*started)


@workflow.defn
class Hot:
    """Counts signals until it has as many as it was told to expect."""

    def __init__(self) -> None:
        self.received = 0

    @workflow.run
    async def run(self, count: int) -> None:
        await workflow.wait_condition(lambda: self.received >= count)

    @workflow.signal
    def poke(self) -> None:
        self.received += 1


@workflow.defn
class Timer:
    @workflow.run
    async def run(self, milliseconds: int) -> None:
        await workflow.sleep(timedelta(milliseconds=milliseconds))


WORKFLOWS = [OneActivity, Sequence, FanOut, Hot, Timer]
ACTIVITIES = [echo]


@dataclass(frozen=True)
class Size:
    """How many units of work, and how many of them at a time."""

    units: int
    concurrency: int


@dataclass(frozen=True)
class Workload:
    title: str
    unit: str
    run: Callable[[Client, Size], Awaitable[list[float]]]
    size: Size
    quick: Size


async def _measured(size: Size, unit: Callable[[], Awaitable[object]]) -> list[float]:
    latencies: list[float] = []
    remaining = iter(range(size.units))

    async def lane() -> None:
        for _ in remaining:
            began = time.perf_counter()
            await unit()
            latencies.append(time.perf_counter() - began)

    await asyncio.gather(*(lane() for _ in range(size.concurrency)))
    return latencies


def _fresh_id() -> str:
    return f"bench-{uuid.uuid4().hex}"


async def one_activity(client: Client, size: Size) -> list[float]:
    return await _measured(
        size, lambda: client.execute_workflow(OneActivity.run, "x", id=_fresh_id(), task_queue=TASK_QUEUE)
    )


async def ten_in_sequence(client: Client, size: Size) -> list[float]:
    return await _measured(
        size, lambda: client.execute_workflow(Sequence.run, 10, id=_fresh_id(), task_queue=TASK_QUEUE)
    )


async def hundred_at_once(client: Client, size: Size) -> list[float]:
    return await _measured(
        size, lambda: client.execute_workflow(FanOut.run, 100, id=_fresh_id(), task_queue=TASK_QUEUE)
    )


async def signals(client: Client, size: Size) -> list[float]:
    handle = await client.start_workflow(Hot.run, size.units, id=_fresh_id(), task_queue=TASK_QUEUE)
    latencies = await _measured(size, lambda: handle.signal(Hot.poke))
    await handle.result()
    return latencies


async def one_timer(client: Client, size: Size) -> list[float]:
    return await _measured(size, lambda: client.execute_workflow(Timer.run, 10, id=_fresh_id(), task_queue=TASK_QUEUE))


WORKLOADS: dict[str, Workload] = {
    "alone": Workload("one activity, 1 at a time", "workflow", one_activity, Size(50, 1), Size(10, 1)),
    "fifty": Workload("one activity, 50 at a time", "workflow", one_activity, Size(600, 50), Size(150, 50)),
    "twohundred": Workload("one activity, 200 at a time", "workflow", one_activity, Size(800, 200), Size(250, 200)),
    "sequence": Workload("ten activities in sequence", "workflow", ten_in_sequence, Size(120, 20), Size(30, 10)),
    "fanout": Workload("100 activities at once", "workflow", hundred_at_once, Size(12, 2), Size(3, 1)),
    "signals": Workload("signals to one hot workflow", "signal", signals, Size(1500, 20), Size(300, 20)),
    "timer": Workload("one timer of 10 ms", "workflow", one_timer, Size(500, 50), Size(100, 50)),
}
