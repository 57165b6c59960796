"""Histories are whole, whatever happens while they are read."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.history import histories
from perdure.history.kinds import workflow as loaded
from perdure.history.machines import workflow
from perdure.history.transition import Transition
from perdure.kernel.errors import DataLoss
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.persistence.executions import DamagedRecord
from tests.differential.script import payloads
from tests.simulation.cluster import NAMESPACE
from tests.support.history import HistoryBench, with_history

SIGNALS = 20


async def signal(bench: HistoryBench, count: int) -> None:
    for _ in range(count):
        execution: dict[str, Any] = {"workflow_id": "order"}
        await bench.call(
            "SignalWorkflowExecution", workflow_execution=execution, signal_name="go", input=payloads("x" * 1000)
        )


def signalled(tx: Transition) -> None:
    workflow.signal(tx, "go", payloads("x" * 1000), "", None, "")


async def long_run(bench: HistoryBench) -> ExecutionKey:
    """A run of whose events only the newest are in memory."""
    key = await bench.start("order")
    await signal(bench, SIGNALS)
    run = await bench.loaded(key)
    assert 1 < run.recent[0].first_event_id < run.state.next_event_id - 1
    return key


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loaded, "RECENT_BYTES_MAX", 5_000)


def test_memory_may_move_on_while_the_store_is_read() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await long_run(bench)
        bench.store.meanwhile["read_history"] = lambda: signal(bench, SIGNALS)
        events = await bench.events(key)
        assert [event.event_id for event in events] == list(range(1, SIGNALS + 3))

    with_history(main)


def test_memory_may_let_go_of_what_is_still_on_its_way_to_the_disk() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await long_run(bench)
        run = await bench.loaded(key)
        for _ in range(SIGNALS):
            bench.shard.decide(run, NAMESPACE, signalled)
        assert run.commit is not None and not run.commit.done
        end = run.state.next_event_id
        events = await histories.read(bench.shard, run, 1, end, 1000)
        assert [event.event_id for event in events] == list(range(1, end))
        for _ in range(SIGNALS):
            bench.shard.decide(run, NAMESPACE, signalled)
        end = run.state.next_event_id
        events = await histories.read_reverse(bench.shard, run, end, 1000)
        assert [event.event_id for event in events] == list(reversed(range(1, end)))

    with_history(main)


def test_a_task_of_a_run_that_was_just_loaded_comes_in_one_piece() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        run = await bench.loaded(key)
        while run.tail_size:
            await signal(bench, 1)
        await bench.forget()
        run = await bench.loaded(key)
        assert not run.recent
        task = await bench.take_task()
        assert len(task.history.events) == run.state.next_event_id - 1 and not task.next_page_token

    with_history(main)


@pytest.mark.parametrize("rpc", ["GetWorkflowExecutionHistory", "GetWorkflowExecutionHistoryReverse"])
def test_a_damaged_past_is_said_to_be_so_and_the_run_goes_on(rpc: str) -> None:
    async def main(bench: HistoryBench) -> None:
        key = await long_run(bench)
        for method in ("read_history", "read_history_reverse"):
            bench.store.failures[method] = [DamagedRecord(key, "journal record 2")]
        with pytest.raises(DataLoss, match=r"the history of workflow order, run .* is damaged"):
            await bench.call(rpc, execution={"workflow_id": "order"})
        await signal(bench, 1)

    with_history(main)
