"""Nexus tasks: handed to a worker that polls for them, answered by RespondNexusTaskCompleted or -Failed."""

from __future__ import annotations

import asyncio

from temporalio.api.workflowservice.v1 import (
    PollNexusTaskQueueRequest,
    PollNexusTaskQueueResponse,
    RespondNexusTaskCompletedRequest,
    RespondNexusTaskCompletedResponse,
    RespondNexusTaskFailedRequest,
    RespondNexusTaskFailedResponse,
)

from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.clock import MILLISECOND_NS, SECOND_NS
from perdure.kernel.ids import NamespaceId, TaskKind
from perdure.kernel.nexus_failures import of_handler_error
from perdure.kernel.rpc import NexusAnswer, NexusTask
from perdure.matching.handlers import polls
from perdure.matching.nexus import PendingNexusTask
from perdure.matching.partition import Item
from perdure.matching.queues import TaskQueues

#: How long a request waits whose caller names no deadline.
_DEFAULT_TIMEOUT_NS = 10 * SECOND_NS


async def dispatch(queues: TaskQueues, call: Call, task: NexusTask) -> NexusAnswer:
    """Have a worker of the queue answer the request.

    Raises:
        DeadlineExceeded: none answered in time.
        ResourceExhausted: too many requests wait.
    """
    now_ns = queues.runtime.clock.now_ns()
    deadline_ns = call.deadline_ns if call.deadline_ns is not None else now_ns + _DEFAULT_TIMEOUT_NS
    request_id = queues.runtime.entropy.uuid()
    partition = queues.for_request(task.queue, request_id)
    pending = queues.pending_nexus.open(task, request_id, deadline_ns)
    timer = asyncio.get_running_loop().call_later((deadline_ns - now_ns) / SECOND_NS, pending.expire)
    try:
        partition.ask(pending)
        return await pending.answer
    finally:
        timer.cancel()
        partition.withdraw(pending)
        queues.pending_nexus.close(pending)


async def poll_nexus_task_queue(
    queues: TaskQueues, call: Call, request: PollNexusTaskQueueRequest, partition: int = 0
) -> PollNexusTaskQueueResponse:
    """Wait for a Nexus request; the answer is empty if none comes in time.

    Raises:
        ResourceExhausted: too many polls or task queues.
    """
    response = await polls.poll(queues, call, request, TaskKind.NEXUS, partition, _start)
    return PollNexusTaskQueueResponse() if response is None else response


async def _start(
    queues: TaskQueues, call: Call, item: Item, request: PollNexusTaskQueueRequest
) -> PollNexusTaskQueueResponse | None:
    assert isinstance(item, PendingNexusTask), "only Nexus requests are on queues for them"
    if item.answer.done():
        return None
    remaining_ns = item.deadline_ns - queues.runtime.clock.now_ns()
    token = tokens.NexusToken(NamespaceId(call.namespace_id), item.task.queue.name, item.id)
    response = PollNexusTaskQueueResponse(task_token=tokens.encode(token), request=item.task.request)
    # Workers look for either.
    for name in ("request-timeout", "Request-Timeout"):
        response.request.header[name] = f"{max(remaining_ns, 0) // MILLISECOND_NS}ms"
    return response


async def respond_nexus_task_completed(
    queues: TaskQueues, call: Call, request: RespondNexusTaskCompletedRequest
) -> RespondNexusTaskCompletedResponse:
    """Deliver a worker's response.

    Raises:
        InvalidArgument: the token is not one.
        NotFound: nobody waits for it (any more).
    """
    token = tokens.decode_nexus(request.task_token, NamespaceId(call.namespace_id))
    queues.pending_nexus.complete(token, NexusAnswer(response=request.response))
    return RespondNexusTaskCompletedResponse()


async def respond_nexus_task_failed(
    queues: TaskQueues, call: Call, request: RespondNexusTaskFailedRequest
) -> RespondNexusTaskFailedResponse:
    """Deliver the failure of a worker's handler.

    Raises:
        InvalidArgument: the token is not one.
        NotFound: nobody waits for it (any more).
    """
    token = tokens.decode_nexus(request.task_token, NamespaceId(call.namespace_id))
    failure = request.failure if request.HasField("failure") else of_handler_error(request.error)
    queues.pending_nexus.complete(token, NexusAnswer(failure=failure))
    return RespondNexusTaskFailedResponse()
