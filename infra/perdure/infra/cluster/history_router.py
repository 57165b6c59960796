"""History as a whole: each call goes to the process that owns the shard it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import structlog
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
)

from perdure.history.service import HistoryService
from perdure.infra.cluster.history_wire import RemoteHistory
from perdure.infra.cluster.patience import Patience
from perdure.infra.cluster.wire import REPEATABLE
from perdure.kernel.addressing import workflow_id_of
from perdure.kernel.call import Call
from perdure.kernel.clock import Clock
from perdure.kernel.errors import NotOwner, ServiceError
from perdure.kernel.ids import NamespaceId, ShardId, TaskQueueKey, WorkflowId, WorkflowKey
from perdure.kernel.mail import Letter
from perdure.kernel.membership import Member, Membership, Role, candidates, owner, shard_item, shard_of
from perdure.kernel.rpc import QueryTask, Task
from perdure.kernel.transport import PeerUnreachable, Transport

_log = structlog.get_logger("perdure.cluster")

T = TypeVar("T")

_TELL_AGAIN_S = 1.0


class HistoryRouter:
    """Implements `HistoryClient` and `NamespaceReclaimer` over all members.

    `local` is this process's own history, if it has one: reaching that is a function call.
    """

    def __init__(
        self,
        membership: Membership,
        transport: Transport,
        clock: Clock,
        shard_count: int,
        local: HistoryService | None,
    ) -> None:
        self._membership = membership
        self._transport = transport
        self._clock = clock
        self._shard_count = shard_count
        self._local = local
        self._patience = Patience(clock)
        self.metrics = self._patience.metrics
        self._candidates: list[Member] = []
        #: Who is asked first, by the list of members.
        self._owners: dict[ShardId, Member] = {}
        #: Who is asked instead, by the word of those who were asked. Until the members change.
        self._hints: dict[ShardId, Member] = {}
        self._remotes: dict[str, RemoteHistory] = {}
        self._telling: dict[tuple[str, TaskQueueKey], asyncio.Task[None]] = {}
        self._again: set[tuple[str, TaskQueueKey]] = set()
        membership.listen(self._looked)

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        return await self._at_owner(
            call.namespace_id,
            workflow_id_of(request),
            lambda history: history.handle(rpc, call, request),
            call,
            repeatable=rpc in REPEATABLE,
        )

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        return await self._at_owner(
            task.key.namespace_id,
            task.key.workflow_id,
            lambda history: history.start_workflow_task(call, task, request),
            call,
        )

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        return await self._at_owner(
            task.key.namespace_id,
            task.key.workflow_id,
            lambda history: history.start_activity_task(call, task, request, request_id),
            call,
            repeatable=bool(request_id),
        )

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        return await self._at_owner(
            task.key.namespace_id,
            task.key.workflow_id,
            lambda history: history.query_task(call, task, request),
            call,
            repeatable=True,
        )

    async def deliver(self, to: WorkflowKey, letter: Letter) -> str:
        return await self._at_owner(
            to.namespace_id, to.workflow_id, lambda history: history.deliver(to, letter), repeatable=True
        )

    def redispatch(self, queue: TaskQueueKey) -> None:
        if self._local is not None:
            self._local.redispatch(queue)
        for member in self._others():
            telling = (member.id, queue)
            if telling in self._telling:
                # He who is told already may have looked before there was more to look for.
                self._again.add(telling)
                continue
            task = asyncio.get_running_loop().create_task(self._tell(member, queue))
            self._telling[telling] = task
            task.add_done_callback(partial(self._told, telling))

    async def reclaim(self, namespace_id: NamespaceId) -> None:
        """See `NamespaceReclaimer.reclaim`.

        Raises:
            Unavailable: the owner of a shard was not found.
        """

        async def reclaim_shard(shard: ShardId) -> None:
            await self._at_owner_of(shard, lambda history: history.reclaim(namespace_id, shard), repeatable=True)

        for number in range(self._shard_count):
            await reclaim_shard(ShardId(number))

    async def stop(self) -> None:
        telling = list(self._telling.values())
        for task in telling:
            task.cancel()
        await asyncio.gather(*telling, return_exceptions=True)

    def _told(self, telling: tuple[str, TaskQueueKey], _: asyncio.Task[None]) -> None:
        del self._telling[telling]
        self._again.discard(telling)

    async def _tell(self, member: Member, queue: TaskQueueKey) -> None:
        # Once the member is gone, whoever takes its shards offers all their tasks.
        while member in self._others():
            try:
                self._again.discard((member.id, queue))
                await self._remote(member).redispatch(queue)
                if (member.id, queue) not in self._again:
                    return
                continue
            except ServiceError as error:
                _log.warning("tasks were not asked for", member=member.address, queue=queue.name, error=str(error))
            await asyncio.sleep(_TELL_AGAIN_S)

    def _others(self) -> list[Member]:
        me = self._membership.me.id
        return [member for member in self._membership.members if Role.HISTORY in member.roles and member.id != me]

    async def _at_owner(
        self,
        namespace_id: str,
        workflow_id: str,
        ask: Callable[[HistoryService | RemoteHistory], Awaitable[T]],
        call: Call | None = None,
        *,
        repeatable: bool = False,
    ) -> T:
        shard = shard_of(NamespaceId(namespace_id), WorkflowId(workflow_id), self._shard_count)
        return await self._at_owner_of(shard, ask, call, repeatable=repeatable)

    async def _at_owner_of(
        self,
        shard: ShardId,
        ask: Callable[[HistoryService | RemoteHistory], Awaitable[T]],
        call: Call | None = None,
        *,
        repeatable: bool = False,
    ) -> T:
        if self._local is not None and shard in self._local.engine.shards:
            try:
                return await ask(self._local)
            except NotOwner as error:
                self._note(shard, self._membership.me, error)
        asked: Member | None = None

        def attempt() -> Awaitable[T]:
            nonlocal asked
            asked = self._owner_of(shard)
            if asked is None:
                raise NotOwner(f"shard {shard}")
            local = self._local if asked.id == self._membership.me.id else None
            return ask(local if local is not None else self._remote(asked))

        return await self._patience.insist(
            attempt, lambda error: self._note(shard, asked, error), call, repeatable=repeatable
        )

    def _owner_of(self, shard: ShardId) -> Member | None:
        known = self._hints.get(shard) or self._owners.get(shard)
        if known is None and (known := owner(shard_item(shard), self._candidates)) is not None:
            self._owners[shard] = known
        return known

    def _note(self, shard: ShardId, asked: Member | None, error: NotOwner | PeerUnreachable) -> None:
        """Learn from being sent away."""
        self._hints.pop(shard, None)
        if isinstance(error, NotOwner) and error.owner:
            for member in self._membership.members:
                if member.id == error.owner and member != asked:
                    self._hints[shard] = member
                    return
        self._membership.look()

    def _looked(self) -> None:
        members = candidates(self._membership.members, Role.HISTORY)
        if members != self._candidates:
            self._candidates = members
            self._owners.clear()
            self._hints.clear()
            self._remotes.clear()

    def _remote(self, member: Member) -> RemoteHistory:
        remote = self._remotes.get(member.address)
        if remote is None:
            remote = self._remotes[member.address] = RemoteHistory(self._transport, member.address, self._clock)
        return remote
