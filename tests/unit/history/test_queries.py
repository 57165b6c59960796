"""Queries between the two ways that they can go: with a workflow task, or by themselves."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from temporalio.api.query.v1 import WorkflowQuery
from temporalio.api.workflowservice.v1 import PollWorkflowTaskQueueRequest, QueryWorkflowResponse

from perdure.kernel.call import Call
from perdure.kernel.errors import NotOwner, Unavailable
from perdure.kernel.ids import TaskKind, TaskQueueKey
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.rpc import QueryTask, StickyWorkerUnavailable, TaskObsolete
from tests.differential.script import payloads
from tests.support.history import CALL, QUEUE, HistoryBench, with_history

EXECUTION: dict[str, Any] = {"workflow_id": "order"}
ANSWER = payloads("it")


def asked(bench: HistoryBench) -> asyncio.Task[QueryWorkflowResponse]:
    return asyncio.create_task(bench.call("QueryWorkflow", execution=EXECUTION, query={"query_type": "how is"}))


async def signal(bench: HistoryBench) -> None:
    await bench.call("SignalWorkflowExecution", workflow_execution=EXECUTION, signal_name="go")


def test_a_query_does_not_go_by_itself_while_a_workflow_task_is_pending() -> None:
    async def main(bench: HistoryBench) -> None:
        key = await bench.start("order")
        await bench.turn()
        queue = TaskQueueKey(key.namespace_id, QUEUE, TaskKind.WORKFLOW)
        task = QueryTask(queue, key, WorkflowQuery(query_type="how is"))
        assert (await bench.service.query_task(CALL, task, PollWorkflowTaskQueueRequest())).HasField("query")
        await signal(bench)
        with pytest.raises(TaskObsolete):
            await bench.service.query_task(CALL, task, PollWorkflowTaskQueueRequest())

    with_history(main)


def test_a_query_that_a_workflow_task_overtakes_travels_with_it() -> None:
    async def main(bench: HistoryBench) -> None:
        async def overtaken(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            await signal(bench)
            raise TaskObsolete

        key = await bench.start("order")
        await bench.turn()
        run = await bench.loaded(key)
        bench.offers.query = overtaken
        query = asked(bench)
        await bench.until(lambda: bool(run.queries))
        task = await bench.take_task()
        (query_id,) = task.queries
        results: dict[str, Any] = {query_id: {"result_type": "QUERY_RESULT_TYPE_ANSWERED", "answer": ANSWER}}
        await bench.call("RespondWorkflowTaskCompleted", task_token=task.task_token, query_results=results)
        assert (await query).query_result == ANSWER

    with_history(main)


def test_a_sticky_worker_that_is_gone_is_asked_once() -> None:
    async def main(bench: HistoryBench) -> None:
        tried = []

        async def answer(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            tried.append((task.queue.name, task.sticky_timeout_ns))
            if task.sticky_timeout_ns:
                raise StickyWorkerUnavailable
            return QueryWorkflowResponse(query_result=ANSWER)

        bench.offers.query = answer
        await bench.start("order")
        sticky: dict[str, Any] = {"worker_task_queue": {"name": "mine"}, "schedule_to_start_timeout": {"seconds": 3}}
        await bench.turn(sticky_attributes=sticky)
        for _ in range(2):
            assert (await asked(bench)).query_result == ANSWER
        assert tried == [("mine", 3 * 10**9), (QUEUE, 0), (QUEUE, 0)]

    with_history(main)


@pytest.mark.parametrize("how", ["the worker goes away", "the write fails"])
def test_an_answer_that_is_not_durable_is_no_answer_and_nobody_waits_for_it(how: str) -> None:
    async def main(bench: HistoryBench) -> None:
        asked_by_themselves = []

        async def overtaken_once(call: Call, task: QueryTask) -> QueryWorkflowResponse:
            asked_by_themselves.append(task)
            if len(asked_by_themselves) > 1:
                return QueryWorkflowResponse(query_result=ANSWER)
            await signal(bench)
            raise TaskObsolete

        key = await bench.start("order")
        await bench.turn()
        run = await bench.loaded(key)
        bench.offers.query = overtaken_once
        query = asked(bench)
        await bench.until(lambda: bool(run.queries))
        task = await bench.take_task()
        (query_id,) = task.queries
        results: dict[str, Any] = {query_id: {"result_type": "QUERY_RESULT_TYPE_ANSWERED", "answer": payloads("lost")}}
        completion = bench.call("RespondWorkflowTaskCompleted", task_token=task.task_token, query_results=results)
        if how == "the write fails":
            bench.store.failures["write"].append(StoreUnavailable("gone"))
            with pytest.raises(Unavailable):
                await completion
            with pytest.raises(NotOwner):
                await query
        else:
            completing = asyncio.create_task(completion)
            for _ in range(200):
                await asyncio.sleep(0)
                if not run.queries:
                    break
            assert not completing.done()
            completing.cancel()
            assert (await query).query_result == ANSWER

    with_history(main)
