"""Matching as a whole: each call goes to the process that owns the task queue, or the part of it, that it is for.

A queue has one partition unless it is configured to have more. Then tasks are spread over them by their execution,
polls go where this process has the fewest, and what finds nobody meets at the root: see `perdure.matching.queues`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TypeVar
from zlib import crc32

import structlog
from google.protobuf.message import Message
from temporalio.api.enums.v1 import TaskQueueKind
from temporalio.api.taskqueue.v1 import TaskQueuePartitionMetadata
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    ListTaskQueuePartitionsRequest,
    ListTaskQueuePartitionsResponse,
    PollActivityTaskQueueRequest,
    PollNexusTaskQueueRequest,
    PollWorkflowTaskQueueRequest,
    QueryWorkflowResponse,
)

from perdure.infra.cluster.handed_on import HandedOn
from perdure.infra.cluster.matching_wire import RemoteMatching
from perdure.infra.cluster.offers import Offers
from perdure.infra.cluster.patience import Patience
from perdure.infra.cluster.queue_owners import Place, QueueOwners
from perdure.infra.cluster.wire import REPEATABLE
from perdure.kernel.addressing import task_queue_of
from perdure.kernel.call import Call
from perdure.kernel.clock import Clock
from perdure.kernel.errors import NotOwner, ServiceError
from perdure.kernel.ids import NamespaceId, TaskQueueKey
from perdure.kernel.membership import Member, Membership, Role, candidates
from perdure.kernel.rpc import HistoryClient, NexusAnswer, NexusTask, QueryTask, Task
from perdure.kernel.transport import Transport
from perdure.matching.handlers.describe import merged
from perdure.matching.service import MatchingService

_log = structlog.get_logger("perdure.cluster")

T = TypeVar("T")

_STICKY = TaskQueueKind.TASK_QUEUE_KIND_STICKY


class MatchingRouter:
    """Implements `MatchingClient` over all members.

    `local` is this process's own matching, if it has one: reaching that is a function call. `partitions` is how many a
    queue has that is not sticky.
    """

    def __init__(
        self,
        membership: Membership,
        transport: Transport,
        clock: Clock,
        local: MatchingService | None,
        history: HistoryClient,
        partitions: int = 1,
    ) -> None:
        self._membership = membership
        self._transport = transport
        self._clock = clock
        self._local = local
        self._partitions = partitions
        self._patience = Patience(clock)
        self.metrics = self._patience.metrics
        self._owners = QueueOwners()
        self._remotes: dict[str, RemoteMatching] = {}
        self._redispatch = history.redispatch
        self._offers = Offers(
            self._remote, lambda member: member in self._owners.members, self.pass_on, membership.look, self._redispatch
        )
        self._handed_on = HandedOn()
        #: Lets go of what is not ours any more.
        self._leaving: asyncio.Task[None] | None = None
        #: Polls that this process has under way, by partition.
        self._polls: Counter[Place] = Counter()
        #: Told when queues have moved; says which tasks may have been lost by that.
        self._moved: list[Callable[[Callable[[Task], bool]], None]] = []
        membership.listen(self._looked)

    def on_move(self, moved: Callable[[Callable[[Task], bool]], None]) -> None:
        """Have `moved` called whenever queues have another owner, with a function that says of a task if it had it."""
        self._moved.append(moved)

    def is_ours(self, namespace_id: NamespaceId, queue: str, partition: int) -> bool:
        """Whether this process owns the partition, as far as it knows."""
        member = self._owners.of((namespace_id, queue, partition))
        return member is not None and member.id == self._membership.me.id

    def knows(self, member_id: str) -> bool:
        """Whether that process owns any partitions, as far as this one knows."""
        return any(member.id == member_id for member in self._owners.members)

    # Tasks

    def offer(self, task: Task) -> None:
        task = _placed(task, self._partitions)
        self._send(task, self._owner_of(task))

    def pass_on(self, task: Task) -> None:
        """Offer a task that was offered to this process."""
        self.hand_on(_placed(task, self._partitions))

    def hand_on(self, task: Task) -> None:
        """Offer a task that was offered to this process to the partition that it names."""
        member = self._owner_of(task)
        if member is not None and member.id != self._membership.me.id:
            self._handed_on.note(member.id, task.queue, self._clock.now_ns())
        self._send(task, member)

    def _owner_of(self, task: Task) -> Member | None:
        return self._owners.of((task.queue.namespace_id, task.queue.name, task.queue.partition))

    def _send(self, task: Task, member: Member | None) -> None:
        if member is None:
            # Whoever comes gets all tasks, since all queues have moved then.
            return
        if member.id == self._membership.me.id and self._local is not None:
            self._local.offer(task)
        else:
            self._offers.put(member, task)

    async def fetch(self, root: TaskQueueKey, until_ns: int) -> Task | None:
        """Get a task from the root of a queue; None if it has none until that instant.

        Raises:
            NotOwner, Unavailable: the root is moving.
        """
        me = self._membership.me.id
        return await self._at_owner(
            (root.namespace_id, root.name, 0), lambda matching: matching.fetch(root, until_ns, me)
        )

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        queue = task.queue
        return await self._at_owner(
            (queue.namespace_id, queue.name, 0), lambda matching: matching.query(call, task), call, repeatable=True
        )

    async def dispatch(self, call: Call, task: NexusTask) -> NexusAnswer:
        queue = task.queue
        return await self._at_owner(
            (queue.namespace_id, queue.name, 0), lambda matching: matching.dispatch(call, task), call
        )

    # Public RPCs

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        if isinstance(request, PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest):
            return await self._poll(rpc, call, request)
        if isinstance(request, PollNexusTaskQueueRequest):
            # Nexus requests, like queries, wait at the root only.
            return await self._poll_at(rpc, call, request, (NamespaceId(call.namespace_id), task_queue_of(request), 0))
        if rpc == "ShutdownWorker":
            return await self._shut_worker_down(call, request)
        if self._partitions > 1:
            if isinstance(request, DescribeTaskQueueRequest) and request.task_queue.kind != _STICKY:
                return await self._describe(call, request)
            if isinstance(request, ListTaskQueuePartitionsRequest):
                return self._list_partitions(call, request)
        return await self._at_owner(
            (NamespaceId(call.namespace_id), task_queue_of(request), 0),
            lambda matching: matching.handle(rpc, call, request),
            call,
            repeatable=rpc in REPEATABLE,
        )

    async def stop(self) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
        await self._offers.stop()

    async def _poll(
        self, rpc: str, call: Call, request: PollWorkflowTaskQueueRequest | PollActivityTaskQueueRequest
    ) -> Message:
        place = NamespaceId(call.namespace_id), request.task_queue.name, 0
        if self._partitions == 1 or request.task_queue.kind == _STICKY:
            return await self._poll_at(rpc, call, request, place)
        # Ties go to the root, so that queries, which wait only there, find somebody.
        place = min(((*place[:2], number) for number in range(self._partitions)), key=lambda each: self._polls[each])
        self._polls[place] += 1
        try:
            return await self._poll_at(rpc, call, request, place)
        finally:
            self._polls[place] -= 1
            if not self._polls[place]:
                del self._polls[place]

    async def _poll_at(self, rpc: str, call: Call, request: Message, place: Place) -> Message:
        return await self._at_owner(
            place, lambda matching: matching.poll(rpc, call, request, place[2]), call, repeatable=True
        )

    async def _describe(self, call: Call, request: DescribeTaskQueueRequest) -> Message:
        namespace_id, name = NamespaceId(call.namespace_id), request.task_queue.name

        async def describe(number: int) -> DescribeTaskQueueResponse:
            return await self._at_owner(
                (namespace_id, name, number),
                lambda matching: matching.describe(call, request, number),
                call,
                repeatable=True,
            )

        return merged(await asyncio.gather(*map(describe, range(self._partitions))))

    def _list_partitions(self, call: Call, request: ListTaskQueuePartitionsRequest) -> Message:
        name, parts = request.task_queue.name, []
        for number in range(self._partitions):
            member = self._owners.of((NamespaceId(call.namespace_id), name, number))
            key = f"/_sys/{name}/{number}" if number else name
            parts.append(TaskQueuePartitionMetadata(key=key, owner_host_name=member.address if member else ""))
        return ListTaskQueuePartitionsResponse(
            activity_task_queue_partitions=parts, workflow_task_queue_partitions=parts
        )

    async def _shut_worker_down(self, call: Call, request: Message) -> Message:
        """It may poll several queues, so everybody is told. Whoever cannot be reached holds no poll of it."""
        members = list(self._owners.members)
        told = (self._at(member).handle("ShutdownWorker", call, request) for member in members)
        answers = await asyncio.gather(*told, return_exceptions=True)
        for member, answer in zip(members, answers, strict=True):
            if not isinstance(answer, BaseException):
                continue
            if not isinstance(answer, ServiceError):
                raise answer
            _log.warning("the end of a worker was not told", member=member.address, error=str(answer))
        heard = [answer for answer in answers if not isinstance(answer, BaseException)]
        if not heard:
            raise NotOwner(f"task queue {task_queue_of(request)}")
        return heard[0]

    # Owners

    async def _at_owner(
        self,
        place: Place,
        ask: Callable[[MatchingService | RemoteMatching], Awaitable[T]],
        call: Call | None = None,
        *,
        repeatable: bool = False,
    ) -> T:
        def attempt() -> Awaitable[T]:
            member = self._owners.of(place)
            if member is None:
                raise NotOwner(f"task queue {place[1]}")
            return ask(self._at(member))

        return await self._patience.insist(attempt, lambda _: self._membership.look(), call, repeatable=repeatable)

    def _looked(self) -> None:
        members = candidates(self._membership.members, Role.MATCHING)
        if members == self._owners.members:
            return
        before, now = self._owners, QueueOwners(members, self._owners)
        self._owners = now
        self._remotes.clear()
        if self._local is not None:
            if self._leaving is not None:
                self._leaving.cancel()
            self._leaving = asyncio.get_running_loop().create_task(self._local.leave())

        def has_moved(queue: TaskQueueKey) -> bool:
            place = queue.namespace_id, queue.name, queue.partition
            return before.of(place) != now.of(place)

        for moved in self._moved:
            moved(lambda task: any(map(has_moved, _places(task, self._partitions))))
        for queue in self._handed_on.lost({member.id for member in members}, self._clock.now_ns()):
            self._redispatch(queue)

    def _at(self, member: Member) -> MatchingService | RemoteMatching:
        if member.id == self._membership.me.id and self._local is not None:
            return self._local
        return self._remote(member)

    def _remote(self, member: Member) -> RemoteMatching:
        remote = self._remotes.get(member.address)
        if remote is None:
            remote = self._remotes[member.address] = RemoteMatching(self._transport, member.address, self._clock)
        return remote


def _placed(task: Task, partitions: int) -> Task:
    """The task on the partition where it belongs. A sticky queue, which is a worker's own, has one."""
    if partitions == 1 or task.normal_queue:
        return task
    number = crc32(task.key.run_id.encode()) % partitions
    return task._replace(queue=task.queue._replace(partition=number))


def _places(task: Task, partitions: int) -> list[TaskQueueKey]:
    """Wherever a task may be: handed on from a sticky queue to the normal one, from any partition to the root, and
    from there to any partition whose workers have nothing to do.
    """
    sticky = [task.queue] if task.normal_queue else []
    normal = task.queue._replace(name=task.normal_queue or task.queue.name)
    return sticky + [normal._replace(partition=number) for number in range(partitions)]
