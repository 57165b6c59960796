"""QueryWorkflow, and the workflow task that carries nothing but a query."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from temporalio.api.enums.v1 import (
    QueryRejectCondition,
    QueryResultType,
    ResourceExhaustedCause,
    TaskQueueKind,
    WorkflowExecutionStatus,
)
from temporalio.api.errordetails.v1 import QueryFailedFailure
from temporalio.api.query.v1 import QueryRejected
from temporalio.api.workflowservice.v1 import (
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowRequest,
    QueryWorkflowResponse,
)

from perdure.history import metering, tasks
from perdure.history.engine import Engine
from perdure.history.kinds.workflow import LoadedExecution, PendingQuery
from perdure.history.machines import workflow_task
from perdure.history.state.execution import Execution
from perdure.history.state.versioning import directive
from perdure.history.transition import Transition
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import DeadlineExceeded, QueryFailed, ResourceExhausted, ServiceError, WorkflowNotReady
from perdure.kernel.ids import TaskKind, TaskQueueKey
from perdure.kernel.metering.actions import QUERY
from perdure.kernel.rpc import MatchingClient, QueryTask, StickyWorkerUnavailable, TaskObsolete

#: With this many failed workflow tasks in a row, a worker is not going to get to the state that is asked about.
_HOPELESS_ATTEMPT = 3
#: How long a query waits when its caller sets no deadline.
_QUERY_WAIT_NS = 10 * SECOND_NS


async def query_workflow(
    engine: Engine, matching: MatchingClient, call: Call, request: QueryWorkflowRequest
) -> QueryWorkflowResponse:
    """Ask a worker about a run. While a workflow task is pending the query travels with it, so that the answer reflects
    everything that was acknowledged before; otherwise it goes to a worker by itself."""
    execution = request.execution
    loaded = await engine.get(call, execution.workflow_id, execution.run_id)
    state = loaded.state
    if _rejected(request.query_reject_condition, state):
        return QueryWorkflowResponse(
            query_rejected=QueryRejected(status=WorkflowExecutionStatus.ValueType(state.status))
        )
    await loaded.committed()
    deadline = _deadline(engine, call)
    _check_ready(state, deadline)
    if _goes_with_task(state):
        _check_room(engine, loaded)
    while True:
        if _goes_with_task(loaded.state):
            answered = await _with_workflow_task(engine, loaded, request, deadline)
            if answered is not None:
                return answered
        try:
            return await _by_itself(engine, matching, call, loaded, request)
        except TaskObsolete:
            # A workflow task came before a worker did.
            loaded = await engine.get(call, loaded.key.workflow_id, loaded.key.run_id)


def _goes_with_task(state: Execution) -> bool:
    return state.running and (state.workflow_task is not None or not state.completed_task_event_id)


def _rejected(condition: QueryRejectCondition.ValueType, state: Execution) -> bool:
    if state.pause is not None:
        return True
    if condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_OPEN:
        return not state.running
    if condition == QueryRejectCondition.QUERY_REJECT_CONDITION_NOT_COMPLETED_CLEANLY:
        return not state.running and state.status != WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_COMPLETED
    return False


def _deadline(engine: Engine, call: Call) -> int:
    latest = engine.runtime.clock.now_ns() + _QUERY_WAIT_NS
    return min(latest, call.deadline_ns or latest)


def _check_ready(state: Execution, deadline: int) -> None:
    """Raises WorkflowNotReady if no worker will have seen the run before the deadline."""
    if not state.completed_task_event_id:
        if not state.running:
            raise WorkflowNotReady("Workflow execution closed before WorkflowTaskStarted event")
        if state.workflow_task is None and state.first_task_at > deadline:
            raise WorkflowNotReady("Workflow task is not scheduled yet.")
    if state.running and state.workflow_task_attempt >= _HOPELESS_ATTEMPT:
        raise WorkflowNotReady("Unable to query workflow due to Workflow Task in failed state.")


def _check_room(engine: Engine, loaded: LoadedExecution) -> None:
    """Raises ResourceExhausted if as many queries as may wait for a workflow task do so already."""
    limit = engine.limits.buffered_queries_max
    if limit and len(loaded.queries) >= limit:
        raise ResourceExhausted(
            "consistent query buffer is full, this may be caused by too many queries and workflow not able to process "
            "query fast enough",
            ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_BUSY_WORKFLOW,
        )


async def _with_workflow_task(
    engine: Engine, loaded: LoadedExecution, request: QueryWorkflowRequest, deadline: int
) -> QueryWorkflowResponse | None:
    """The answer that came with the next completion; None if the query is to go by itself after all."""
    pending = PendingQuery(request.query)
    query_id = engine.runtime.entropy.uuid()
    loaded.queries[query_id] = pending
    try:
        async with asyncio.timeout((deadline - engine.runtime.clock.now_ns()) / SECOND_NS):
            answer = await pending.answer
    except TimeoutError:
        raise DeadlineExceeded("query timed out before a worker could process it") from None
    finally:
        loaded.queries.pop(query_id, None)
    if answer is None:
        return None
    if answer.result_type == QueryResultType.QUERY_RESULT_TYPE_FAILED:
        raise QueryFailed(answer.error_message, answer.failure if answer.HasField("failure") else None)
    return QueryWorkflowResponse(query_result=answer.answer)


async def _by_itself(
    engine: Engine, matching: MatchingClient, call: Call, loaded: LoadedExecution, request: QueryWorkflowRequest
) -> QueryWorkflowResponse:
    """Ask the worker that has the workflow in its cache, if there is one, and then any worker."""
    query_id = engine.runtime.entropy.uuid()
    loaded.asked[query_id] = None
    try:
        answer = await _ask(engine, matching, call, loaded, request, query_id)
        await _counted(loaded, request, query_id)
        return answer
    except ServiceError as error:
        if isinstance(error.detail, QueryFailedFailure):  # An answer too.
            await _counted(loaded, request, query_id)
        raise
    finally:
        del loaded.asked[query_id]


async def _counted(loaded: LoadedExecution, request: QueryWorkflowRequest, query_id: str) -> None:
    """Return when it is durable that the query was asked: no answer leaves before.

    Raises:
        NotOwner, Unavailable: that is lost, and the answer with it.
    """
    commit = loaded.asked[query_id]
    if commit is None and not metering.is_free(request.query):
        # A worker has got it from another owner of the shard.
        commit = loaded.shard.count(loaded, {QUERY: 1})
    if commit is not None:
        await commit.wait()


async def _ask(
    engine: Engine,
    matching: MatchingClient,
    call: Call,
    loaded: LoadedExecution,
    request: QueryWorkflowRequest,
    query_id: str,
) -> QueryWorkflowResponse:
    state = loaded.state
    queue = TaskQueueKey(state.namespace_id, state.task_queue, TaskKind.WORKFLOW)
    version, behavior = directive(state.versioning)
    normal = QueryTask(queue, loaded.key, request.query, query_id=query_id, version=version, behavior=behavior)
    sticky = state.sticky_queue
    if sticky and state.sticky_timeout:
        queue = normal.queue._replace(name=sticky)
        try:
            return await matching.query(call, replace(normal, queue=queue, sticky_timeout_ns=state.sticky_timeout))
        except StickyWorkerUnavailable:
            await _forget_sticky(engine, call, loaded, sticky)
    return await matching.query(call, normal)


async def _forget_sticky(engine: Engine, call: Call, loaded: LoadedExecution, queue: str) -> None:
    """The worker is gone: nobody else should have to wait for it."""

    def forget(tx: Transition) -> None:
        # Another worker may have taken the workflow over meanwhile.
        if tx.state.running and tx.state.sticky_queue == queue:
            workflow_task.reset_sticky(tx)

    await engine.update(call, loaded.key.workflow_id, loaded.key.run_id, forget)


async def query_task(
    engine: Engine, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
) -> PollWorkflowTaskQueueResponse:
    """What a worker needs to answer a query.

    Raises:
        TaskObsolete: a workflow task is pending by now, with which the query is to travel. Workers may lose one of the
            two if they get both at a time.
    """
    loaded = await engine.get(call, task.key.workflow_id, task.key.run_id)
    if _goes_with_task(loaded.state):
        raise TaskObsolete
    shard = loaded.shard
    if task.query_id in loaded.asked and loaded.asked[task.query_id] is None and not metering.is_free(task.query):
        # While the worker works on it, that is committed.
        loaded.asked[task.query_id] = shard.count(loaded, {QUERY: 1})
    partial = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    response = await tasks.query_only(shard, loaded, partial=partial)
    response.query.CopyFrom(task.query)
    return response
