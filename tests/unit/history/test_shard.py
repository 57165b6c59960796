"""The write path of a shard when something goes wrong on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from perdure.history import engine as engines
from perdure.history import shard as shards
from perdure.history.effects import OfferWorkflowTask
from perdure.history.machines import workflow
from perdure.history.state.changes import SignalRequestSeen, StickySet
from perdure.history.transition import Transition
from perdure.kernel.ids import ExecutionKey
from tests.differential import commands as c
from tests.simulation.cluster import NAMESPACE
from tests.support.history import HistoryBench, with_history


async def signal(bench: HistoryBench, name: str) -> None:
    await bench.call("SignalWorkflowExecution", workflow_execution={"workflow_id": "order"}, signal_name=name)


async def check_written(bench: HistoryBench, key: ExecutionKey, events: int) -> None:
    """What is in memory is what is on the disk, which has no gaps."""
    loaded = await bench.loaded(key)
    await loaded.committed()
    await bench.forget()
    again = await bench.loaded(key)
    assert again is not loaded
    assert again.state == loaded.state and again.sequence == loaded.sequence
    assert [event.event_id for event in await bench.events(key)] == list(range(1, events + 1))


def unwritable(tx: Transition) -> None:
    """A decision that takes effect and cannot be written down."""
    workflow.signal(tx, "lost", None, "", None, "")
    tx.change(StickySet(object(), 0))  # type: ignore[arg-type]


def test_a_decision_that_cannot_be_written_leaves_no_trace() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        with pytest.raises(TypeError):
            bench.shard.decide(await bench.loaded(key), NAMESPACE, unwritable)
        await signal(bench, "kept")
        assert (await bench.loaded(key)).state.signal_count == 1
        await check_written(bench, key, events=3)

    with_history(main)


def test_nor_does_one_after_which_nobody_knows_when_to_look_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> int:
        raise ValueError("no idea")

    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        with monkeypatch.context() as patch, pytest.raises(ValueError, match="no idea"):
            loaded = await bench.loaded(key)
            patch.setattr(type(loaded.agenda), "next_deadline", lost)
            bench.shard.decide(loaded, NAMESPACE, lambda tx: workflow.signal(tx, "lost", None, "", None, ""))
        await signal(bench, "kept")
        await check_written(bench, key, events=3)

    with_history(main)


def test_nor_does_it_take_along_what_was_put_off() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        task = await bench.take_task()
        with pytest.raises(TypeError):
            bench.shard.decide(await bench.loaded(key), NAMESPACE, unwritable)
        await bench.call("RespondWorkflowTaskCompleted", task_token=task.task_token, commands=[c.start_timer()])
        await check_written(bench, key, events=5)

    with_history(main)


def test_nor_if_it_is_the_next_run_that_cannot_be_written() -> None:
    def continue_badly(tx: Transition) -> None:
        attributes: Any = c.continue_as_new().continue_as_new_workflow_execution_command_attributes
        workflow.continue_as_new(tx, attributes, 4)
        assert tx.successor is not None
        tx.successor.change(SignalRequestSeen(object()))  # type: ignore[arg-type]

    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        with pytest.raises(TypeError):
            bench.shard.decide(await bench.loaded(key), NAMESPACE, continue_badly)
        assert await bench.shard.current_run(key.workflow) == key.run_id
        await signal(bench, "kept")
        await check_written(bench, key, events=3)

    with_history(main)


def test_runs_that_nobody_needs_leave_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "LOADED_MAX", 10)
    monkeypatch.setattr(engines, "_LOADED_PER_SHARD_MIN", 1)
    monkeypatch.setattr(shards, "_EVICTED_PART", 3)

    async def main(bench: HistoryBench) -> None:
        keys = [await bench.start(f"order-{number}") for number in range(30)]
        assert bench.shard.loaded_count < 10 + 3
        assert (await bench.loaded(keys[0])).state.key == keys[0]

    with_history(main)


def test_a_load_that_is_broken_off_is_nobody_elses_business() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        await bench.turn()
        await bench.forget()
        loading, waiting = (asyncio.create_task(bench.loaded(key)) for _ in range(2))
        await asyncio.sleep(0)
        loading.cancel()
        assert (await waiting).key == key

    with_history(main)


def test_what_is_not_written_waits_for_what_is() -> None:
    async def main(bench: HistoryBench) -> None:
        loaded = await bench.loaded(await bench.start("order"))
        bench.offers.tasks.clear()
        bench.shard.decide(loaded, NAMESPACE, lambda tx: workflow.signal(tx, "first", None, "", None, ""))
        bench.shard.decide(loaded, NAMESPACE, lambda tx: tx.effect(OfferWorkflowTask()))
        assert not bench.offers.tasks, "the signal is still on its way to the store"
        await loaded.committed()
        assert len(bench.offers.tasks) == 1

    with_history(main)
