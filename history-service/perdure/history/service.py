"""The history role: wires the engine, and implements what the other roles ask of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from functools import partial

import structlog
from google.protobuf.message import Message
from temporalio.api.workflowservice.v1 import (
    PollActivityTaskQueueRequest,
    PollActivityTaskQueueResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    QueryWorkflowRequest,
)

from perdure.history.batches.worker import BatchWorker
from perdure.history.engine import Engine
from perdure.history.handlers import HANDLERS, activity, query, workflow_task
from perdure.history.inbox import Inbox
from perdure.history.messages import Messages
from perdure.history.nexus_messages import NexusMessages
from perdure.history.outbound import Outbound
from perdure.history.overdue import OverdueWalk, waiting_tasks
from perdure.history.shard import Shard
from perdure.kernel.addressing import workflow_id_of
from perdure.kernel.archive.store import ArchiveStore, NoArchive
from perdure.kernel.call import Call
from perdure.kernel.deployments.routing import NoVersions, VersionRouting
from perdure.kernel.errors import NotOwner, ServiceError, Unavailable, Unimplemented
from perdure.kernel.ids import NamespaceId, ShardId, TaskQueueKey, WorkflowKey
from perdure.kernel.limits import Limits
from perdure.kernel.mail import Letter
from perdure.kernel.namespace import NamespaceDirectory
from perdure.kernel.nexus import NexusEndpointDirectory, NoNexusEndpoints
from perdure.kernel.persistence.executions import ExecutionStore, StoreUnusable
from perdure.kernel.persistence.shards import ShardStore
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.rpc import HistoryClient, MatchingClient, QueryTask, Task
from perdure.kernel.runtime import Runtime

logger = structlog.get_logger(__name__)

_HEADS_PER_PAGE = 500


class HistoryService:
    """Implements `HistoryClient` for the shards of this process."""

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        executions: ExecutionStore,
        shards: ShardStore,
        directory: NamespaceDirectory,
        shard_count: int = 1,
        member_id: str = "",
    ) -> None:
        self._store = executions
        self._outbound = Outbound()
        self.engine = Engine(runtime, limits, executions, shards, directory, self._outbound, shard_count, member_id)
        self._inbox = Inbox(self.engine)
        self._redispatching: dict[TaskQueueKey, asyncio.Task[None]] = {}
        #: Queues that were asked for again while they were gone through.
        self._once_more: set[TaskQueueKey] = set()
        #: Which tasks have moved, change by change, and the shards whose tasks have not been asked about yet.
        self._moved: list[tuple[Callable[[Task], bool], set[ShardId]]] = []
        self._offering: asyncio.Task[None] | None = None
        self._overdue = OverdueWalk(self.engine, lambda task: self._matching.offer(task))

    def connect(
        self,
        matching: MatchingClient,
        visibility: VisibilityStore,
        history: HistoryClient | None = None,
        endpoints: NexusEndpointDirectory | None = None,
        deployments: VersionRouting | None = None,
        archive: ArchiveStore | None = None,
    ) -> None:
        """Say where tasks go, where batch jobs look for executions, and where letters and operations go: to `history`,
        or to this process if it is alone. Nexus operations are started at `endpoints`; `deployments` say which versions
        of workers there are. Closed workflows go to the `archive`, if there is one. Called once, at first.
        """
        self._matching = matching
        self._outbound.matching = matching
        self.engine.endpoints = endpoints or NoNexusEndpoints()
        self.engine.deployments = deployments or NoVersions()
        self.engine.archive = archive or NoArchive()
        self._outbound.messages = Messages(self.engine, history or self)
        self._outbound.nexus = NexusMessages(self.engine, history or self, matching)
        self._outbound.batches = BatchWorker(self.engine, history or self, visibility)

    def start(self) -> None:
        """Begin to look for tasks that nobody hands out, among the shards that come and go. Called once."""
        self._overdue.start()

    async def stop(self) -> None:
        await self._overdue.stop()
        for task in [*self._redispatching.values(), *([self._offering] if self._offering else [])]:
            task.cancel()
        await self.engine.stop()

    @property
    def loops(self) -> list[asyncio.Task[None]]:
        """What never ends before `stop`."""
        return [*self.engine.loops, *self._overdue.background]

    async def handle(self, rpc: str, call: Call, request: Message) -> Message:
        """See `HistoryClient.handle`."""
        try:
            if rpc == "QueryWorkflow":
                assert isinstance(request, QueryWorkflowRequest)
                return await query.query_workflow(self.engine, self._matching, call, request)
            handler = HANDLERS.get(rpc)
            if handler is None:
                raise Unimplemented(f"{rpc} is not implemented")
            response: Message = await handler(self.engine, call, request)
            return response
        except Unavailable:
            raise
        except ServiceError:
            await self.engine.confirm(NamespaceId(call.namespace_id), workflow_id_of(request))
            raise

    async def start_workflow_task(
        self, call: Call, task: Task, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        return await workflow_task.start_workflow_task(self.engine, call, task, request)

    async def start_activity_task(
        self, call: Call, task: Task, request: PollActivityTaskQueueRequest, request_id: str = ""
    ) -> PollActivityTaskQueueResponse:
        return await activity.start_activity_task(self.engine, call, task, request, request_id)

    async def query_task(
        self, call: Call, task: QueryTask, request: PollWorkflowTaskQueueRequest
    ) -> PollWorkflowTaskQueueResponse:
        return await query.query_task(self.engine, call, task, request)

    async def deliver(self, to: WorkflowKey, letter: Letter) -> str:
        """See `HistoryClient.deliver`."""
        try:
            return await self._inbox.deliver(to, letter)
        except Unavailable:
            raise
        except ServiceError:
            await self.engine.confirm(to.namespace_id, to.workflow_id)
            raise

    def redispatch(self, queue: TaskQueueKey) -> None:
        """See `HistoryClient.redispatch`."""
        self.engine.metrics.redispatches += 1
        if queue in self._redispatching:
            # What has been passed already may be what there is room for now.
            self._once_more.add(queue)
            return
        self._once_more.discard(queue)
        task = asyncio.get_running_loop().create_task(
            self._offer_again(
                # A task for a sticky queue may have been handed on to this one.
                lambda task: queue in (task.queue, task.queue._replace(name=task.normal_queue)),
                queue.namespace_id,
            )
        )
        self._redispatching[queue] = task
        task.add_done_callback(lambda _: self._redispatched(queue))

    def _redispatched(self, queue: TaskQueueKey) -> None:
        task = self._redispatching.pop(queue)
        if queue in self._once_more and not task.cancelled():
            self.redispatch(queue)

    def offer_moved(self, moved: Callable[[Task], bool]) -> None:
        """Offer all tasks again that have moved: whoever had them may have taken them to the grave."""
        self._moved.append((moved, set(self.engine.shards)))
        if self._offering is None or self._offering.done():
            self._offering = asyncio.get_running_loop().create_task(self._offer_all_moved())

    async def _offer_all_moved(self) -> None:
        """Go through the shards for all changes at once. One that comes meanwhile joins in, and is done a round later.

        A shard that comes meanwhile is left out: whoever takes one offers everything.
        """
        while self._moved:
            if not self._moved[0][1]:
                self._moved.pop(0)
                continue
            shard_id = next(iter(self._moved[0][1]))
            asking = [moved for moved, shards in self._moved if shard_id in shards]
            for _, shards in self._moved:
                shards.discard(shard_id)
            if (shard := self.engine.shards.get(shard_id)) is not None:
                await self._offer_shard(shard, partial(_is_any, asking))

    async def _offer_again(self, wanted: Callable[[Task], bool], namespace_id: NamespaceId) -> None:
        for shard in list(self.engine.shards.values()):
            await self._offer_shard(shard, wanted, namespace_id)

    async def _offer_shard(
        self, shard: Shard, wanted: Callable[[Task], bool], namespace_id: NamespaceId | None = None
    ) -> None:
        try:
            # Whoever takes the shard offers everything anyway.
            with contextlib.suppress(NotOwner):
                async for task in waiting_tasks(self.engine, shard, namespace_id):
                    if wanted(task):
                        self._matching.offer(task)
        except StoreUnusable:
            logger.exception("tasks could not be offered again", shard=shard.id)

    async def reclaim(self, namespace_id: NamespaceId, shard_id: ShardId) -> None:
        """Delete every execution of the namespace on one shard; returns when none is left. May be called again.

        Raises:
            NotOwner: the shard is not ours.
        """
        shard = self.engine.owned(shard_id)
        while heads := await self._store.runs(shard_id, namespace_id, None, _HEADS_PER_PAGE):
            # All at once, as their heads were read: nothing can come in between.
            for commit in [shard.erase(head) for head in heads]:
                await commit.wait()


def _is_any(moved: Iterable[Callable[[Task], bool]], task: Task) -> bool:
    return any(has_moved(task) for has_moved in moved)


class Reclaimer:
    """Implements `NamespaceReclaimer` for a process that owns all shards."""

    def __init__(self, history: HistoryService) -> None:
        self._history = history

    async def reclaim(self, namespace_id: NamespaceId) -> None:
        for shard_id in list(self._history.engine.shards):
            await self._history.reclaim(namespace_id, shard_id)
