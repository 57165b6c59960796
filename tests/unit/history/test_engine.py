"""The engine on a store that does not always answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest

from perdure.history.effects import Effect, SendSignal
from perdure.history.kinds.workflow_agenda import Agenda
from perdure.kernel.errors import NamespaceNotFound, NotOwner, Unavailable
from perdure.kernel.ids import NamespaceId, ShardId, TaskKind, TaskQueueKey
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import StoreUnavailable, StoreUnusable
from tests.differential import commands as c
from tests.support.history import CALL, QUEUE, HistoryBench, with_history

DOES_NOT_ANSWER = StoreUnavailable("the disk is away")
NO_SUCH_COLUMN = StoreUnusable("no such column")


def test_a_start_waits_for_a_store_that_cannot_be_read() -> None:
    async def main(bench: HistoryBench) -> None:
        keys = [await bench.start(workflow_id) for workflow_id in ("one", "two")]
        await bench.turn(c.start_child("child", QUEUE))
        bench.store.failures["undispatched"] = [DOES_NOT_ANSWER] * 2
        bench.store.failures["load"] = [DOES_NOT_ANSWER] * 3
        await bench.restart()
        assert {task.key.workflow_id for task in bench.offers.tasks} >= {"one"}
        await bench.await_event(keys[1], "CHILD_WORKFLOW_EXECUTION_STARTED")

    with_history(main)


@pytest.mark.parametrize("read", ["undispatched", "load"])
def test_a_start_does_not_wait_for_what_waiting_cannot_heal(read: str) -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        bench.store.failures[read] = [DOES_NOT_ANSWER, NO_SUCH_COLUMN]
        with pytest.raises(StoreUnusable, match="no such column"):
            await bench.restart()
        await bench.restart()
        assert [task.key for task in bench.offers.tasks] == [key], "it is the store's fault, not that of the run"

    with_history(main)


def test_a_start_leaves_out_what_is_damaged() -> None:
    async def main(bench: HistoryBench) -> None:
        bench.store.damaged.add(await bench.start("damaged"))
        await bench.start("whole")
        await bench.restart()
        assert [task.key.workflow_id for task in bench.offers.tasks] == ["whole"]

    with_history(main)


def test_a_run_that_fails_when_it_is_asked_what_it_owes_keeps_no_other_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(bench: HistoryBench) -> None:
        for workflow_id in ("first", "broken", "last"):
            await bench.start(workflow_id)
        outstanding = Agenda.outstanding

        def fail(agenda: Agenda, now_ns: int) -> list[Effect]:
            if agenda.state.workflow_id == "broken":
                raise ValueError("broken")
            return outstanding(agenda, now_ns)

        monkeypatch.setattr(Agenda, "outstanding", fail)
        await bench.restart()
        await bench.until(lambda: len(bench.offers.tasks) == 2)
        assert {task.key.workflow_id for task in bench.offers.tasks} == {"first", "last"}
        assert bench.shard.epoch == 2

    with_history(main)


@pytest.mark.parametrize("durable", [True, False])
def test_what_a_run_owes_is_told_once_it_is_durable(durable: bool) -> None:
    """A run is served while its shard is still gone through. What was just decided on it is no debt yet."""

    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        writing, answering = asyncio.Event(), asyncio.Event()

        async def write() -> None:
            writing.set()
            await answering.wait()
            if not durable:
                raise DOES_NOT_ANSWER

        bench.store.meanwhile["write"] = write
        turn = asyncio.create_task(bench.turn(c.signal_external("other")))
        await writing.wait()

        async def told() -> list[Effect]:
            return [effect async for _, effect in bench.service.engine.outstanding(bench.shard)]

        telling = asyncio.create_task(told())
        await bench.until(lambda: not bench.store.meanwhile)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not telling.done()
        answering.set()
        if durable:
            await turn
            assert SendSignal(5) in await telling
        else:
            with pytest.raises(Unavailable):
                await turn
            assert await telling == []

    with_history(main)


def test_a_shard_that_cannot_be_recovered_is_taken_again() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        bench.store.failures["undispatched"] = [ValueError("broken")]
        await bench.restart()
        assert not bench.service.engine.shards
        await bench.until(lambda: bool(bench.offers.tasks))
        assert bench.shard.epoch == 3

    with_history(main)


def test_tasks_are_offered_again_once_the_store_answers() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        await bench.turn(c.schedule_activity(QUEUE), c.schedule_activity("other", "a2"))
        bench.offers.tasks.clear()
        bench.store.failures["undispatched"] = [DOES_NOT_ANSWER]
        bench.service.redispatch(TaskQueueKey(key.namespace_id, QUEUE, TaskKind.ACTIVITY))
        await bench.until(lambda: bool(bench.offers.tasks))
        assert [task.queue.name for task in bench.offers.tasks] == [QUEUE], "those of other queues are not asked for"

    with_history(main)


def test_a_look_through_a_shard_ends_when_the_shard_is_lost() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        shard = bench.shard

        async def lose() -> None:
            bench.service.engine.drop([shard.id])

        bench.store.meanwhile["undispatched"] = lose
        with pytest.raises(NotOwner):
            [_ async for _ in bench.service.engine.outstanding(shard)]

    with_history(main)


def test_a_task_of_a_later_owner_is_not_started_here() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        task = bench.offers.tasks[-1]
        later = task._replace(epoch=task.epoch + 1)
        with pytest.raises(NotOwner):
            await bench.service.start_workflow_task(CALL, later, PollWorkflowTaskQueueRequest())
        assert not bench.service.engine.shards, "it is somebody else's"

    with_history(main)


def test_a_refusal_is_not_told_before_its_reason_is_durable() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        bench.store.failures["write"] = [DOES_NOT_ANSWER]
        terminate = {"workflow_execution": {"workflow_id": "order"}}
        results = await asyncio.gather(
            *(bench.call("TerminateWorkflowExecution", **terminate) for _ in range(2)), return_exceptions=True
        )
        assert [type(result) for result in results] == [Unavailable, Unavailable], "it has not ended"

    with_history(main)


def test_what_is_due_happens_once_the_store_answers() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        await bench.turn(c.start_timer("t", 5))
        await bench.forget()
        bench.store.failures["load"] = [DOES_NOT_ANSWER] * 3
        await bench.until(lambda: len(bench.offers.tasks) == 2)
        assert not bench.store.failures["load"]
        await bench.await_event(key, "TIMER_FIRED")

    with_history(main)


def test_shards_are_given_back_though_a_namespace_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(bench: HistoryBench) -> None:
        async def unknown(namespace_id: NamespaceId) -> Namespace:
            raise NamespaceNotFound(namespace_id)

        await bench.start("order")
        await bench.take_task()
        assert bench.shard.unwritten()
        given_back: list[ShardId] = []

        async def release(epochs: Mapping[ShardId, int]) -> None:
            given_back.extend(epochs)

        monkeypatch.setattr(bench.service.engine.directory, "by_id", unknown)
        monkeypatch.setattr(bench.shards, "release", release)
        await bench.service.engine.release([bench.shard.id])
        assert given_back == [ShardId(0)]

    with_history(main)


def test_a_queue_that_is_asked_for_while_it_is_gone_through_is_gone_through_again() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        await bench.turn(c.schedule_activity(QUEUE))
        bench.offers.tasks.clear()
        queue = TaskQueueKey(key.namespace_id, QUEUE, TaskKind.ACTIVITY)
        for _ in range(3):
            bench.service.redispatch(queue)
        await bench.until(lambda: len(bench.offers.tasks) >= 2)
        await asyncio.sleep(1)
        assert len(bench.offers.tasks) == 2, "once more, however often it was asked for"

    with_history(main)
