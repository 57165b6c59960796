"""The model of docs/scaling.md against the committer itself, in virtual time."""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Mapping, Sequence
from typing import cast

import pytest

from loadtests.capacity import Pipeline
from perdure.history.commits import Committer
from perdure.kernel.clock import VirtualClock
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import ExecutionStore, ShardWrite
from tests.support import virtual_time
from tests.support.records import NAMESPACE, key, record, write

RUN_S, WARM_UP_S = 12.0, 2.0


class Disk:
    """Takes as long as the model says."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.commits = 0

    def database_of(self, shard: ShardId) -> str:
        return "main"

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        await asyncio.sleep(self.pipeline.fixed_s + self.pipeline.each_s * len(writes))
        self.commits += 1


@pytest.mark.parametrize(
    ("pipeline", "writes_per_s"),
    [
        (Pipeline(0.004, 0.000_05), 600),
        (Pipeline(0.002, 0.000_05), 4_000),
        (Pipeline(0.020, 0.000_05), 500),
        (Pipeline(0.005, 0.000_4), 1_500),
    ],
    ids=["paced", "paced and busy", "a slow disk", "a slow database"],
)
def test_the_model_says_what_the_committer_does(pipeline: Pipeline, writes_per_s: float) -> None:
    chance = random.Random(1)
    disk = Disk(pipeline)
    latencies: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        committer = Committer(cast(ExecutionStore, disk), "main", lambda shards, error: pytest.fail(str(error)))
        committing = loop.create_task(committer.run())
        began = loop.time()

        async def arrive() -> None:
            at = loop.time()
            await committer.submit(write(journal=[record(key(), 1, 1, 1)]), 1, NAMESPACE, lambda: None).wait()
            if at - began > WARM_UP_S:
                latencies.append(loop.time() - at)

        async with asyncio.TaskGroup() as group:
            while loop.time() < began + RUN_S:
                group.create_task(arrive())
                await asyncio.sleep(chance.expovariate(writes_per_s))
        committing.cancel()

    virtual_time.run(VirtualClock(), main())
    assert statistics.mean(latencies) == pytest.approx(pipeline.latency_s(writes_per_s), rel=0.15)
    assert disk.commits / RUN_S == pytest.approx(1 / pipeline.interval_s(writes_per_s), rel=0.15)


def test_what_never_catches_up() -> None:
    assert Pipeline(0.002, 0.001).interval_s(1_000) == float("inf")
