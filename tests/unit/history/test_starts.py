"""The start of an activity whose answer is lost on its way to matching, which asks again."""

from __future__ import annotations

import pytest
from temporalio.api.workflowservice.v1 import PollActivityTaskQueueRequest

from perdure.kernel.ids import TaskKind
from perdure.kernel.rpc import TaskObsolete
from tests.differential import commands as c
from tests.support.history import CALL, HistoryBench, with_history


def test_the_same_request_starts_an_attempt_once_and_another_does_not() -> None:
    async def main(bench: HistoryBench) -> None:
        await bench.start("order")
        await bench.turn(c.schedule_activity("a"))
        await bench.until(lambda: any(task.queue.kind is TaskKind.ACTIVITY for task in bench.offers.tasks))
        task = next(task for task in bench.offers.tasks if task.queue.kind is TaskKind.ACTIVITY)
        poll = PollActivityTaskQueueRequest(identity="worker")
        first = await bench.service.start_activity_task(CALL, task, poll, "this request")
        again = await bench.service.start_activity_task(CALL, task, poll, "this request")
        assert again == first
        for other in ("another request", ""):
            with pytest.raises(TaskObsolete):
                await bench.service.start_activity_task(CALL, task, poll, other)
        await bench.call("RespondActivityTaskCompleted", task_token=again.task_token)
        with pytest.raises(TaskObsolete):
            await bench.service.start_activity_task(CALL, task, poll, "this request")

    with_history(main)
