"""The matching role: owner of task queues, behind `perdure.kernel.rpc.MatchingClient`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    QueryWorkflowResponse,
    ShutdownWorkerRequest,
)

from perdure.kernel.addressing import WORKERS, task_queue_of
from perdure.kernel.call import Call
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.errors import NotOwner, Unavailable, Unimplemented
from perdure.kernel.ids import NamespaceId, TaskQueueKey
from perdure.kernel.limits import Limits
from perdure.kernel.metrics import NameOf, Sample
from perdure.kernel.rpc import HistoryClient, NexusAnswer, NexusTask, QueryTask, Task
from perdure.kernel.runtime import Runtime
from perdure.matching import metrics
from perdure.matching.configurations import Configurations
from perdure.matching.handlers import configure, describe, nexus, polls, queries, workers
from perdure.matching.known_workers import KnownWorkers
from perdure.matching.queues import TaskQueues

_SWEEP_S = 60.0
#: How often to look for tasks on partitions that no worker polls any more.
_STRANDED_S = 10.0

_Handler = Callable[[TaskQueues, Call, Any], Awaitable[Message]]

_HANDLERS: dict[str, _Handler] = {
    "DescribeTaskQueue": describe.describe_task_queue,
    "ListTaskQueuePartitions": describe.list_task_queue_partitions,
    "RespondNexusTaskCompleted": nexus.respond_nexus_task_completed,
    "RespondNexusTaskFailed": nexus.respond_nexus_task_failed,
    "RespondQueryTaskCompleted": queries.respond_query_task_completed,
    "ShutdownWorker": workers.shutdown_worker,
    "UpdateTaskQueueConfig": configure.update_task_queue_config,
}
_ABOUT_WORKERS: dict[str, Callable[[KnownWorkers, Call, Any], Awaitable[Message]]] = {
    "RecordWorkerHeartbeat": workers.record_worker_heartbeat,
    "ListWorkers": workers.list_workers,
    "CountWorkers": workers.count_workers,
    "DescribeWorker": workers.describe_worker,
}
_POLLS: dict[str, Callable[[TaskQueues, Call, Any, int], Awaitable[Message]]] = {
    "PollActivityTaskQueue": polls.poll_activity_task_queue,
    "PollNexusTaskQueue": nexus.poll_nexus_task_queue,
    "PollWorkflowTaskQueue": polls.poll_workflow_task_queue,
}

#: What concerns all task queues of a process, whoever's they are.
_FOR_EVERYBODY = frozenset({"ShutdownWorker"})


class Backlog(NamedTuple):
    """Of one partition of a task queue: how many tasks wait, how long the next one has, and how many polls wait."""

    queue: TaskQueueKey
    tasks: int
    age_ns: int
    polls: int


class MatchingService:
    """Implements `MatchingClient` for all task queues of this process. Runs on one event loop.

    `host_name` is what callers are told about who owns a task queue.
    """

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        history: HistoryClient,
        configurations: Configurations,
        deployments: Deployments,
        host_name: str = "localhost",
    ) -> None:
        self._queues = TaskQueues(runtime, limits, history, configurations, deployments, host_name)
        self._workers = KnownWorkers(runtime.clock, limits)
        self._partitioned = limits.task_queue_partitions > 1
        self._timers: dict[Callable[[], None], asyncio.TimerHandle] = {}
        self._is_ours: Callable[[NamespaceId, str, int], bool] = lambda namespace_id, name, partition: True
        self._knows: Callable[[str], bool] = lambda member_id: True

    def join(
        self,
        is_ours: Callable[[NamespaceId, str, int], bool],
        knows: Callable[[str], bool],
        offer: Callable[[Task], None],
        hand_on: Callable[[Task], None],
        fetch: Callable[[TaskQueueKey, int], Awaitable[Task | None]],
    ) -> None:
        """Be one of several: serve only the (partitions of) queues that are ours.

        `knows` says whether a member has a share of them. `offer` takes tasks for another queue, `hand_on` those for
        another partition of theirs, and `fetch` gets a task from the root of a queue, if it has one until the given
        instant.
        """
        self._is_ours = is_ours
        self._knows = knows
        self._queues.offer_elsewhere = offer
        self._queues.hand_on = hand_on
        self._queues.fetch = fetch

    async def leave(self) -> None:
        """Let go of queues and workers that are not ours any more. If it is cancelled it has to be called again."""
        self._workers.leave(lambda namespace_id: self._is_ours(namespace_id, WORKERS, 0))
        await self._queues.leave(lambda queue: self._is_ours(queue.namespace_id, queue.name, queue.partition))

    async def start(self) -> None:
        """Begin to forget task queues that nobody uses any more, and workers that are silent."""
        self._every(_SWEEP_S, self._queues.evict_idle)
        self._every(_SWEEP_S, self._workers.forget_silent)
        if self._partitioned:
            self._every(_STRANDED_S, self._queues.leave_stranded_to_root)

    async def stop(self) -> None:
        """Drain: waiting polls end empty, waiting queries and new calls fail as unavailable. May be called twice."""
        for timer in self._timers.values():
            timer.cancel()
        self._queues.close()

    def samples(self, name_of: NameOf) -> Iterable[Sample]:
        """What there is to count here and now."""
        yield from self._queues.samples(name_of)
        yield Sample(metrics.WORKERS, (), self._workers.count)

    def largest_backlogs(self, count: int) -> list[Backlog]:
        """Of the partitions of this process where the most tasks wait."""
        return [
            Backlog(each.queue, each.backlog_count, each.backlog_age_ns, each.polls_waiting)
            for each in self._queues.largest(count)
        ]

    @property
    def requests_pending(self) -> int:
        """How many queries and Nexus requests wait for a worker's answer."""
        return len(self._queues.pending_queries) + len(self._queues.pending_nexus)

    def offer(self, task: Task) -> None:
        self._queues.offer(task)

    def accept(self, tasks: Sequence[Task]) -> list[Task]:
        """Take tasks in from another process, and return those that have to go elsewhere."""
        foreign = []
        for task in tasks:
            queue = task.queue
            if not self._queues.closed and self._is_ours(queue.namespace_id, queue.name, queue.partition):
                self._queues.offer(task)
            else:
                foreign.append(task)
        return foreign

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        self._require_open()
        self._require_ours(task.queue.namespace_id, task.queue.name)
        return await queries.query(self._queues, call, task)

    async def dispatch(self, call: Call, task: NexusTask) -> NexusAnswer:
        self._require_open()
        self._require_ours(task.queue.namespace_id, task.queue.name)
        return await nexus.dispatch(self._queues, call, task)

    async def poll(self, rpc: str, call: Call, request: Message, partition: int = 0) -> Message:
        """Serve a poll on one partition of its queue."""
        self._require_open()
        self._require_ours(NamespaceId(call.namespace_id), task_queue_of(request), partition)
        return await _POLLS[rpc](self._queues, call, request, partition)

    async def fetch(self, root: TaskQueueKey, until_ns: int, member_id: str) -> Task | None:
        """Give a task of a root to another partition of its queue, which that member owns; None if there is none until
        that instant.
        """
        self._require_open()
        self._require_ours(root.namespace_id, root.name)
        if not self._knows(member_id):
            # It is gone and has not heard of it. Nobody would notice when it really is, and the task with it.
            raise NotOwner(f"task queue {root.name}")
        return await self._queues.take_for_partition(root, until_ns)

    async def describe(
        self, call: Call, request: DescribeTaskQueueRequest, partition: int
    ) -> DescribeTaskQueueResponse:
        """Serve DescribeTaskQueue for one partition."""
        self._require_ours(NamespaceId(call.namespace_id), task_queue_of(request), partition)
        return await describe.describe_task_queue(self._queues, call, request, partition)

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        self._require_open()
        if rpc in _POLLS:
            return await self.poll(rpc, call, request)
        if (about_workers := _ABOUT_WORKERS.get(rpc)) is not None:
            self._require_ours(NamespaceId(call.namespace_id), WORKERS)
            return await about_workers(self._workers, call, request)
        if isinstance(request, ShutdownWorkerRequest):
            self._hear_last_of(call, request)
        handler = _HANDLERS.get(rpc)
        if handler is None:
            raise Unimplemented(f"unknown method {rpc}")
        if rpc not in _FOR_EVERYBODY:
            self._require_ours(NamespaceId(call.namespace_id), task_queue_of(request))
        return await handler(self._queues, call, request)

    def _hear_last_of(self, call: Call, request: ShutdownWorkerRequest) -> None:
        """Everybody is told of a worker's end, and one of us knows workers."""
        namespace_id = NamespaceId(call.namespace_id)
        if request.HasField("worker_heartbeat") and self._is_ours(namespace_id, WORKERS, 0):
            self._workers.record(namespace_id, [request.worker_heartbeat])

    def _require_open(self) -> None:
        if self._queues.closed:
            raise Unavailable("The server is shutting down.")

    def _require_ours(self, namespace_id: NamespaceId, queue: str, partition: int = 0) -> None:
        if not self._is_ours(namespace_id, queue, partition):
            raise NotOwner(f"task queue {queue}")

    def _every(self, period_s: float, work: Callable[[], None]) -> None:
        def turn() -> None:
            # First, or what goes wrong once would never be done again.
            self._timers[work] = asyncio.get_running_loop().call_later(period_s, turn)
            work()

        self._timers[work] = asyncio.get_running_loop().call_later(period_s, turn)
