"""The matching role: owner of task queues, behind `perdure.kernel.rpc.MatchingClient`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import QueryWorkflowResponse

from perdure.kernel.addressing import task_queue_of
from perdure.kernel.call import Call
from perdure.kernel.errors import NotOwner, Unavailable, Unimplemented
from perdure.kernel.ids import NamespaceId
from perdure.kernel.limits import Limits
from perdure.kernel.rpc import HistoryClient, MatchingClient, QueryTask, Task
from perdure.kernel.runtime import Runtime
from perdure.matching.handlers import describe, polls, queries, workers
from perdure.matching.queues import TaskQueues

_SWEEP_S = 60.0

_Handler = Callable[[TaskQueues, Call, Any], Awaitable[Message]]

_HANDLERS: dict[str, _Handler] = {
    "DescribeTaskQueue": describe.describe_task_queue,
    "ListTaskQueuePartitions": describe.list_task_queue_partitions,
    "PollActivityTaskQueue": polls.poll_activity_task_queue,
    "PollWorkflowTaskQueue": polls.poll_workflow_task_queue,
    "RespondQueryTaskCompleted": queries.respond_query_task_completed,
    "ShutdownWorker": workers.shutdown_worker,
}
#: What concerns all task queues of a process, whoever's they are.
_FOR_EVERYBODY = frozenset({"ShutdownWorker"})


class MatchingService:
    """Implements `MatchingClient` for all task queues of this process. Runs on one event loop.

    `host_name` is what callers are told about who owns a task queue.
    """

    def __init__(self, runtime: Runtime, limits: Limits, history: HistoryClient, host_name: str = "localhost") -> None:
        self._queues = TaskQueues(runtime, limits, history, host_name)
        self._sweep_timer: asyncio.TimerHandle | None = None
        self._is_ours: Callable[[NamespaceId, str], bool] = lambda namespace_id, name: True

    def join(self, is_ours: Callable[[NamespaceId, str], bool], cluster: MatchingClient) -> None:
        """Be one of several: serve only queues that are ours, and hand on through `cluster` what is not."""
        self._is_ours = is_ours
        self._queues.hand_on = cluster.offer

    def members_changed(self) -> None:
        """Look again which queues are ours."""
        self._queues.leave(self._is_ours)

    async def start(self) -> None:
        """Begin to forget task queues that nobody uses any more."""
        self._sweep()

    async def stop(self) -> None:
        """Drain: waiting polls end empty, waiting queries and new calls fail as unavailable. May be called twice."""
        if self._sweep_timer is not None:
            self._sweep_timer.cancel()
            self._sweep_timer = None
        self._queues.close()

    def offer(self, task: Task) -> None:
        self._queues.offer(task)

    def accept(self, tasks: Sequence[Task]) -> list[Task]:
        """Take tasks in from another process, and return those that have to go elsewhere."""
        foreign = []
        for task in tasks:
            if not self._queues.closed and self._is_ours(task.queue.namespace_id, task.queue.name):
                self._queues.offer(task)
            else:
                foreign.append(task)
        return foreign

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        self._require_open()
        self._require_ours(task.queue.namespace_id, task.queue.name)
        return await queries.query(self._queues, call, task)

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        self._require_open()
        handler = _HANDLERS.get(rpc)
        if handler is None:
            raise Unimplemented(f"unknown method {rpc}")
        if rpc not in _FOR_EVERYBODY:
            self._require_ours(NamespaceId(call.namespace_id), task_queue_of(request))
        return await handler(self._queues, call, request)

    def _require_open(self) -> None:
        if self._queues.closed:
            raise Unavailable("The server is shutting down.")

    def _require_ours(self, namespace_id: NamespaceId, queue: str) -> None:
        if not self._is_ours(namespace_id, queue):
            raise NotOwner(f"task queue {queue}")

    def _sweep(self) -> None:
        self._queues.evict_idle()
        self._sweep_timer = asyncio.get_running_loop().call_later(_SWEEP_S, self._sweep)
