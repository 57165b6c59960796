"""Tasks whose hint was lost and that nobody missed: history offers them again when they have waited for long."""

from __future__ import annotations

import asyncio

from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import NotOwner
from perdure.kernel.persistence.executions import StoreUnusable
from tests.support.history import HistoryBench, with_history


def test_a_task_that_nobody_has_asked_for_is_offered_again_after_a_minute() -> None:
    async def main(bench: HistoryBench) -> None:
        bench.service.start()
        await bench.start("order")
        lost = bench.offers.tasks.pop()
        await asyncio.sleep(59)
        assert not bench.offers.tasks
        await bench.until(lambda: bool(bench.offers.tasks))
        assert bench.offers.tasks.pop() == lost
        assert bench.clock.now_ns() - lost.created_at_ns <= 130 * SECOND_NS
        # And again, for as long as it waits.
        await asyncio.sleep(130)
        assert lost in bench.offers.tasks

    with_history(main, patience_s=1000)


def test_a_task_that_was_started_is_left_alone() -> None:
    async def main(bench: HistoryBench) -> None:
        bench.service.start()
        await bench.start("order", workflow_task_timeout={"seconds": 120})
        await asyncio.sleep(59)
        await bench.take_task()
        bench.offers.tasks.clear()
        await asyncio.sleep(61)
        assert not bench.offers.tasks

    with_history(main, patience_s=1000)


def test_the_walk_takes_a_hundredth_of_its_time_when_reading_is_slow() -> None:
    async def main(bench: HistoryBench) -> None:
        for number in range(3):
            await bench.start(f"order-{number}")
        reads = 0
        read = bench.store.undispatched

        async def slowly(*arguments: object) -> object:
            nonlocal reads
            reads += 1
            await asyncio.sleep(0.5)
            return await read(*arguments)

        bench.store.undispatched = slowly  # type: ignore[method-assign]
        bench.service.start()
        await asyncio.sleep(600)
        assert 600 * 0.005 / 0.5 <= reads <= 600 * 0.011 / 0.5

    with_history(main, patience_s=1000)


def test_the_walk_survives_whatever_happens_on_it() -> None:
    async def main(bench: HistoryBench) -> None:
        failures: list[Exception] = [StoreUnusable("broken"), RuntimeError("a bug"), NotOwner("shard 0")]
        read = bench.store.undispatched

        async def badly(*arguments: object) -> object:
            if failures:
                raise failures.pop()
            return await read(*arguments)

        bench.store.undispatched = badly  # type: ignore[method-assign]
        bench.service.start()
        await bench.start("order")
        bench.offers.tasks.clear()
        await bench.until(lambda: bool(bench.offers.tasks))
        assert not failures
        assert not any(task.done() for task in bench.service.loops)

    with_history(main, patience_s=1000)
