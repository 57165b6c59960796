"""Usage by type of workflow, and the bytes that are kept: what a history role writes, and what is read of it later."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel.metering.actions import OTHER_TYPES, START
from perdure.kernel.persistence.usage import HOUR_MS, HOUR_NS, Storage
from tests.simulation.cluster import NAMESPACE
from tests.support.history import QUEUE, HistoryBench, with_history

ORDER: dict[str, Any] = {"workflow_id": "order"}
#: After all hours that a test gets to.
NEVER = 1_000_000


def test_only_so_many_types_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perdure.history.meter.TYPES_MAX", 2)

    async def main(bench: HistoryBench) -> None:
        async def start(*names: str) -> None:
            for name in names:
                await bench.call(
                    "StartWorkflowExecution",
                    workflow_id=f"{name} {bench.clock.now_ns()} {len(bench.offers.tasks)}",
                    workflow_type={"name": name},
                    task_queue={"name": QUEUE},
                )

        await start("a", "b", "c", "d", "a")
        hour = bench.clock.now_ns() // HOUR_NS
        found = await bench.usage.actions(NAMESPACE.id, hour, hour + 1, None, 100)
        assert {each.action.type: each.times for each in found} == {"a": 2, "b": 1, OTHER_TYPES: 2}
        bench.clock.advance_to((hour + 1) * HOUR_NS)
        await start("d")
        found = await bench.usage.actions(NAMESPACE.id, hour + 1, hour + 2, None, 100)
        assert {each.action.type: each.times for each in found} == {"d": 1}

    with_history(main, patience_s=10 * 3600)


def test_what_is_kept_is_first_active_then_retained_then_gone() -> None:
    async def main(bench: HistoryBench) -> None:
        async def kept() -> list[Storage]:
            now_ms = bench.clock.now_ns() // 1_000_000
            return list(await bench.usage.storage(NAMESPACE.id, now_ms // HOUR_MS - 1, NEVER, now_ms))

        key = await bench.start("order")
        await bench.turn()
        open_bytes = sum(len(each.events) for each in await bench.store.read_history(0, key, 1, 99, 10**6))
        start_ms = bench.clock.now_ns() // 1_000_000
        later_ms = (start_ms // HOUR_MS + 5) * HOUR_MS
        bench.clock.advance_to(later_ms * 1_000_000)
        assert await kept() == [
            Storage(later_ms // HOUR_MS - 1, open_bytes * HOUR_MS, 0),
            Storage(later_ms // HOUR_MS, 0, 0),
        ]
        await bench.call("TerminateWorkflowExecution", workflow_execution=ORDER)
        await bench.forget()
        all_bytes = sum(len(each.events) for each in await bench.store.read_history(0, key, 1, 99, 10**6))
        assert all_bytes > open_bytes
        bench.clock.advance_to((later_ms + 1000) * 1_000_000)
        assert (await kept())[-1] == Storage(later_ms // HOUR_MS, 0, 1000 * all_bytes)
        await bench.call("DeleteWorkflowExecution", workflow_execution=ORDER)
        bench.clock.advance_to((later_ms + HOUR_MS + 1) * 1_000_000)
        assert await kept() == [
            Storage(later_ms // HOUR_MS, 0, 1000 * all_bytes),
            Storage(later_ms // HOUR_MS + 1, 0, 0),
        ]

    with_history(main, patience_s=10 * 3600)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_namespace_that_goes_keeps_nothing(in_memory: bool) -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        await bench.start("other")
        await bench.call("TerminateWorkflowExecution", workflow_execution=ORDER)
        if not in_memory:
            await bench.forget()
        await bench.service.reclaim(NAMESPACE.id, bench.shard.id)
        hour = bench.clock.now_ns() // HOUR_NS + 1
        assert await bench.usage.storage(NAMESPACE.id, hour, hour + 1, (hour + 1) * HOUR_MS) == [Storage(hour, 0, 0)]
        assert await bench.actions() == {START: 2}

    with_history(main)
