"""Queries outside of workflow tasks: handed to a worker like a task, answered by RespondQueryTaskCompleted."""

from __future__ import annotations

import asyncio

from temporalio.api.workflowservice.v1 import (
    QueryWorkflowResponse,
    RespondQueryTaskCompletedRequest,
    RespondQueryTaskCompletedResponse,
)

from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import DeadlineExceeded, FailedPrecondition
from perdure.kernel.ids import NamespaceId
from perdure.kernel.rpc import QueryTask, StickyWorkerUnavailable
from perdure.matching.partition import RECENT_POLL_NS, Partition
from perdure.matching.queries import PendingQuery
from perdure.matching.queues import TaskQueues

#: How long a query waits whose caller names no deadline.
_DEFAULT_TIMEOUT_NS = 30 * SECOND_NS
#: That no worker polls is reported this long before the caller gives up, so that they learn it.
_NO_POLLER_MARGIN_NS = SECOND_NS
#: For how long after its last poll a worker may still come for the query.
_POLLER_MISSING_NS = 20 * SECOND_NS


async def query(queues: TaskQueues, call: Call, task: QueryTask) -> QueryWorkflowResponse:
    """Have a worker of the queue answer the query.

    Raises:
        QueryFailed: the worker answered with a failure.
        StickyWorkerUnavailable: the queue is a sticky one, and its worker is gone or takes too long.
        FailedPrecondition: no worker polls the queue.
        DeadlineExceeded: none answered in time.
        ResourceExhausted: too many queries wait.
    """
    now_ns = queues.runtime.clock.now_ns()
    deadline_ns = call.deadline_ns if call.deadline_ns is not None else now_ns + _DEFAULT_TIMEOUT_NS
    if not task.sticky_timeout_ns:
        return await _ask(queues, queues.for_query(task), task, deadline_ns, last_chance=True)
    sticky = queues.find(task.queue)
    if sticky is None or not sticky.polled_within(RECENT_POLL_NS):
        raise StickyWorkerUnavailable
    try:
        return await _ask(queues, sticky, task, min(deadline_ns, now_ns + task.sticky_timeout_ns), last_chance=False)
    except DeadlineExceeded:
        if queues.runtime.clock.now_ns() >= deadline_ns:
            raise
        raise StickyWorkerUnavailable from None


async def respond_query_task_completed(
    queues: TaskQueues, call: Call, request: RespondQueryTaskCompletedRequest
) -> RespondQueryTaskCompletedResponse:
    """Deliver a worker's answer.

    Raises:
        InvalidArgument: the token is not one, or the answer is neither a result nor a failure.
        NotFound: nobody waits for the answer (any more).
    """
    token = tokens.decode_query(request.task_token, NamespaceId(call.namespace_id))
    queues.pending_queries.complete(token, request, queues.limits.blob_size_max)
    return RespondQueryTaskCompletedResponse()


async def _ask(
    queues: TaskQueues, partition: Partition, task: QueryTask, deadline_ns: int, *, last_chance: bool
) -> QueryWorkflowResponse:
    """One attempt on one queue. On the last one, whoever asks is told before the deadline if there is no worker."""
    loop = asyncio.get_running_loop()
    query = queues.pending_queries.open(task, queues.runtime.entropy.uuid())
    remaining_s = (deadline_ns - queues.runtime.clock.now_ns()) / SECOND_NS
    timers = [loop.call_later(remaining_s, query.expire)]
    if last_chance:
        margin_s = _NO_POLLER_MARGIN_NS / SECOND_NS
        timers.append(loop.call_later(remaining_s - margin_s, _check_poller, partition, query))
    try:
        partition.ask(query)
        answer: QueryWorkflowResponse = await query.answer
        return answer
    finally:
        for timer in timers:
            timer.cancel()
        partition.withdraw(query)
        queues.pending_queries.close(query)


def _check_poller(partition: Partition, query: PendingQuery) -> None:
    if not query.taken and not partition.polled_within(_POLLER_MISSING_NS):
        query.fail(FailedPrecondition("no poller seen for task queue recently, worker may be down"))
