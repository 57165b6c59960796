"""PollWorkflowTaskQueue and PollActivityTaskQueue: a worker waits for something to do.

A poll is one coroutine that waits on one future. When it gets a task it asks history to record the start; the answer is
the response. A task that history does not want started is dropped and the poll goes on with the time that is left.

When the caller goes away while history records the start, the task is offered again. If history had recorded the start
already the next poller is refused, and the attempt ends by its start-to-close timeout: from the server that cannot be
told from a worker that died with the task in its hands.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollNexusTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
)

from perdure.kernel import tokens
from perdure.kernel.call import Call
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.deployments.records import VersionQueue
from perdure.kernel.errors import DataLoss, NotFound, ServiceError
from perdure.kernel.ids import NamespaceId, TaskKind, TaskQueueKey
from perdure.kernel.rpc import TaskObsolete
from perdure.matching import versions
from perdure.matching.partition import Item, Partition
from perdure.matching.pollers import PollRequest
from perdure.matching.queries import PendingQuery
from perdure.matching.queues import TaskQueues
from perdure.matching.scaling import poller_scaling

#: An empty answer leaves this long before the caller gives up, so that it arrives.
RETURN_MARGIN_NS = SECOND_NS

_Response = TypeVar(
    "_Response", PollWorkflowTaskQueueResponse, PollActivityTaskQueueResponse, PollNexusTaskQueueResponse
)


async def poll_workflow_task_queue(
    queues: TaskQueues, call: Call, request: PollWorkflowTaskQueueRequest, partition: int = 0
) -> PollWorkflowTaskQueueResponse:
    """Wait for a workflow task or a query; the answer is empty if none comes in time.

    Raises:
        ResourceExhausted: too many polls or task queues.
        ServiceError: history could not start the task now; it is kept.
    """
    response = await poll(queues, call, request, TaskKind.WORKFLOW, partition, _start_workflow_task)
    return PollWorkflowTaskQueueResponse() if response is None else response


async def poll_activity_task_queue(
    queues: TaskQueues, call: Call, request: PollActivityTaskQueueRequest, partition: int = 0
) -> PollActivityTaskQueueResponse:
    """Wait for an activity task; the answer is empty if none comes in time.

    Raises:
        ResourceExhausted: too many polls or task queues.
        ServiceError: history could not start the task now; it is kept.
    """
    response = await poll(queues, call, request, TaskKind.ACTIVITY, partition, _start_activity_task)
    return PollActivityTaskQueueResponse() if response is None else response


async def poll(
    queues: TaskQueues,
    call: Call,
    request: PollRequest,
    kind: TaskKind,
    number: int,
    start: Callable[[TaskQueues, Call, Item, Any], Awaitable[_Response | None]],
) -> _Response | None:
    """Wait for something to do, and have `start` make the response of it; None if nothing comes in time.

    Raises:
        ResourceExhausted: too many polls or task queues.
        ServiceError: as `start` does; what was taken is kept.
    """
    namespace_id = NamespaceId(call.namespace_id)
    if queues.is_shut_down(namespace_id, request.worker_instance_key):
        return None
    began_ns = queues.runtime.clock.now_ns()
    until_ns = began_ns + queues.limits.poll_ns
    if call.deadline_ns is not None:
        until_ns = min(until_ns, call.deadline_ns - RETURN_MARGIN_NS)
    if until_ns <= began_ns:
        return None
    queue = TaskQueueKey(namespace_id, request.task_queue.name, kind, number)
    sticky = request.task_queue.kind == TaskQueueKind.TASK_QUEUE_KIND_STICKY
    version = None if sticky else versions.of_poll(request.deployment_options)
    if version is not None:
        await queues.deployments.register(namespace_id, version, VersionQueue(queue.name, kind))
    partition = queues.for_poll(versions.polled(queue, version), sticky)
    partition.begin_poll(request)
    while (item := await _take(queues, partition, until_ns, request.worker_instance_key)) is not None:
        try:
            response = await start(queues, call, item, request)
        except (TaskObsolete, NotFound, DataLoss):
            partition.refund(item)
            continue
        except (ServiceError, asyncio.CancelledError):
            partition.put_back(item)
            raise
        if response is None:
            continue
        if isinstance(response, PollWorkflowTaskQueueResponse):
            response.backlog_count_hint = partition.backlog_count
        scaling = poller_scaling(partition, queues.runtime.clock.now_ns() - began_ns)
        if scaling is not None:
            response.poller_scaling_decision.CopyFrom(scaling)
        partition.end_poll(request, item)
        return response
    partition.end_poll(request)
    return None


async def _take(queues: TaskQueues, partition: Partition, until_ns: int, worker: str) -> Item | None:
    if not partition.backlog_count:
        # It looks in the next turn of the loop whether anybody waits, and by then this poll does.
        queues.feed(partition)
    return await partition.take(until_ns, worker)


async def _start_workflow_task(
    queues: TaskQueues, call: Call, item: Item, request: PollWorkflowTaskQueueRequest
) -> PollWorkflowTaskQueueResponse | None:
    if not isinstance(item, PendingQuery):
        return await queues.history.start_workflow_task(call, item, request)
    if item.answer.done():
        return None
    try:
        response = await queues.history.query_task(call, item.task, request)
    except (ServiceError, TaskObsolete) as error:
        item.fail(error)
        return None
    token = tokens.QueryToken(item.task.queue.namespace_id, item.task.queue.name, item.id)
    response.task_token = tokens.encode(token)
    return response


async def _start_activity_task(
    queues: TaskQueues, call: Call, item: Item, request: PollActivityTaskQueueRequest
) -> PollActivityTaskQueueResponse:
    assert not isinstance(item, PendingQuery), "queries go to workflow task queues only"
    return await queues.history.start_activity_task(call, item, request, queues.runtime.entropy.uuid())
