"""The engine on a store that does not always answer."""

from __future__ import annotations

import pytest

from perdure.kernel.ids import TaskKind, TaskQueueKey
from perdure.kernel.persistence.executions import StoreUnavailable, StoreUnusable
from tests.differential import commands as c
from tests.support.history import QUEUE, HistoryBench, with_history

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
