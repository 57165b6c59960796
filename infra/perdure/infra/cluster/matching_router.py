"""Matching as a whole: each call goes to the process that owns the task queue it is for."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import QueryWorkflowResponse

from perdure.infra.cluster.matching_wire import RemoteMatching
from perdure.infra.cluster.patience import Patience
from perdure.kernel.addressing import task_queue_of
from perdure.kernel.call import Call
from perdure.kernel.clock import Clock
from perdure.kernel.errors import NotOwner, ServiceError
from perdure.kernel.ids import NamespaceId
from perdure.kernel.membership import Member, Membership, Role, candidates, owner, queue_item
from perdure.kernel.rpc import QueryTask, Task
from perdure.kernel.transport import PeerUnreachable, Transport
from perdure.matching.service import MatchingService

_log = structlog.get_logger("perdure.cluster")

T = TypeVar("T")

#: Owners that are remembered; beyond it they are worked out anew.
_OWNERS_MAX = 100_000
#: Tasks on their way to one process. What is beyond is dropped, and asked for again when there is room.
_OFFERS_MAX = 20_000
#: Tasks in one message.
_OFFERS_PER_CALL = 500
_RETRY_S = 0.1


class MatchingRouter:
    """Implements `MatchingClient` over all members.

    `local` is this process's own matching, if it has one: reaching that is a function call.
    """

    def __init__(
        self, membership: Membership, transport: Transport, clock: Clock, local: MatchingService | None
    ) -> None:
        self._membership = membership
        self._transport = transport
        self._clock = clock
        self._local = local
        self._patience = Patience(clock)
        self._candidates: list[Member] = []
        self._owners: dict[tuple[str, str], Member] = {}
        self._remotes: dict[str, RemoteMatching] = {}
        #: By member id: tasks that are to be offered to it, and whoever is doing that.
        self._offers: defaultdict[str, list[Task]] = defaultdict(list)
        self._offering: dict[str, asyncio.Task[None]] = {}
        #: Told when queues have moved; says which.
        self._moved: list[Callable[[Callable[[NamespaceId, str], bool]], None]] = []
        membership.listen(self._looked)

    def on_move(self, moved: Callable[[Callable[[NamespaceId, str], bool]], None]) -> None:
        """Have `moved` called whenever queues have another owner, with a function that says of a queue if it has."""
        self._moved.append(moved)

    def is_ours(self, namespace_id: NamespaceId, queue: str) -> bool:
        """Whether this process owns the queue, as far as it knows."""
        member = self._owner_of(namespace_id, queue)
        return member is not None and member.id == self._membership.me.id

    def offer(self, task: Task) -> None:
        member = self._owner_of(task.queue.namespace_id, task.queue.name)
        if member is not None and member.id == self._membership.me.id and self._local is not None:
            self._local.offer(task)
            return
        # Without a member that could have it: whoever comes gets all tasks, since all queues have moved then.
        if member is None:
            return
        waiting = self._offers[member.id]
        if len(waiting) >= _OFFERS_MAX:
            return
        waiting.append(task)
        if member.id not in self._offering:
            sending = asyncio.get_running_loop().create_task(self._send_offers(member))
            self._offering[member.id] = sending

    async def query(self, call: Call, task: QueryTask) -> QueryWorkflowResponse:
        return await self._at_owner(
            task.queue.namespace_id,
            task.queue.name,
            lambda matching: matching.query(call, task),
            call,
            repeatable=True,
        )

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        if rpc == "ShutdownWorker":
            return await self._shut_worker_down(call, request)
        return await self._at_owner(
            NamespaceId(call.namespace_id),
            task_queue_of(request),
            lambda matching: matching.handle(rpc, call, request),
            call,
        )

    async def stop(self) -> None:
        tasks = list(self._offering.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _shut_worker_down(self, call: Call, request: Message) -> Message:
        """It may poll several queues, so everybody is told. Whoever cannot be reached holds no poll of it."""
        rpc = "ShutdownWorker"
        answers = []
        for member in self._candidates:
            try:
                answers.append(await self._at(member).handle(rpc, call, request))
            except PeerUnreachable as error:
                _log.warning("the end of a worker was not told", member=member.address, error=str(error))
        if not answers:
            raise NotOwner(f"task queue {task_queue_of(request)}")
        return answers[0]

    async def _send_offers(self, member: Member) -> None:
        """Offer what is waiting for one member, until nothing is."""
        try:
            # Whatever comes together in one turn of the loop travels together.
            await asyncio.sleep(0)
            while tasks := self._offers.pop(member.id, None):
                for start in range(0, len(tasks), _OFFERS_PER_CALL):
                    await self._send(member, tasks[start : start + _OFFERS_PER_CALL])
        finally:
            del self._offering[member.id]

    async def _send(self, member: Member, tasks: list[Task]) -> None:
        while True:
            try:
                foreign = await self._remote(member).accept(tasks)
            except ServiceError:
                self._membership.look()
                foreign = tasks
            if not foreign:
                return
            await asyncio.sleep(_RETRY_S)
            if all(other.id != member.id for other in self._candidates):
                # Its queues have moved, so history offers their tasks anew.
                return
            tasks = []
            for task in foreign:
                if self._owner_of(task.queue.namespace_id, task.queue.name) == member:
                    tasks.append(task)
                else:
                    self.offer(task)

    async def _at_owner(
        self,
        namespace_id: NamespaceId,
        queue: str,
        ask: Callable[[MatchingService | RemoteMatching], Awaitable[T]],
        call: Call,
        *,
        repeatable: bool = False,
    ) -> T:
        def attempt() -> Awaitable[T]:
            member = self._owner_of(namespace_id, queue)
            if member is None:
                raise NotOwner(f"task queue {queue}")
            return ask(self._at(member))

        return await self._patience.insist(attempt, lambda _: self._membership.look(), call, repeatable=repeatable)

    def _owner_of(self, namespace_id: str, queue: str) -> Member | None:
        known = self._owners.get((namespace_id, queue))
        if known is None:
            known = owner(queue_item(NamespaceId(namespace_id), queue), self._candidates)
            if known is not None:
                if len(self._owners) >= _OWNERS_MAX:
                    self._owners.clear()
                self._owners[namespace_id, queue] = known
        return known

    def _looked(self) -> None:
        before, now = self._candidates, candidates(self._membership.members, Role.MATCHING)
        if now == before:
            return
        self._candidates = now
        self._owners.clear()
        self._remotes.clear()

        def has_moved(namespace_id: NamespaceId, queue: str) -> bool:
            item = queue_item(namespace_id, queue)
            return owner(item, before) != owner(item, now)

        for moved in self._moved:
            moved(has_moved)

    def _at(self, member: Member) -> MatchingService | RemoteMatching:
        if member.id == self._membership.me.id and self._local is not None:
            return self._local
        return self._remote(member)

    def _remote(self, member: Member) -> RemoteMatching:
        remote = self._remotes.get(member.address)
        if remote is None:
            remote = self._remotes[member.address] = RemoteMatching(self._transport, member.address, self._clock)
        return remote
