"""The history and matching roles of one process and its way to those of all others, on whatever stores and network.

Pure wiring, so that the simulation runs the very objects that production runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.history.ownership import SharedOwnership
from perdure.history.service import HistoryService
from perdure.infra.cluster import history_wire, matching_wire, status
from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.infra.cluster.history_router import HistoryRouter
from perdure.infra.cluster.matching_router import MatchingRouter
from perdure.infra.cluster.metrics import ClusterView
from perdure.infra.cluster.namespace_watch import NamespaceWatch
from perdure.infra.cluster.watch import Watch
from perdure.infra.cluster.wire import Calls
from perdure.infra.tracing.roles import TracedHistory, TracedMatching
from perdure.kernel.archive.store import ArchiveStore
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.limits import Limits
from perdure.kernel.membership import DATA_PLANE, Member, Role, candidates
from perdure.kernel.metrics import Sample
from perdure.kernel.news import News, Topic
from perdure.kernel.persistence.deployments import DeploymentStore
from perdure.kernel.persistence.executions import ExecutionStore
from perdure.kernel.persistence.membership import MembershipStore
from perdure.kernel.persistence.namespaces import NamespaceStore
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointStore
from perdure.kernel.persistence.shards import ShardStore
from perdure.kernel.persistence.task_queues import TaskQueueStore
from perdure.kernel.persistence.visibility import VisibilityStore
from perdure.kernel.runtime import Runtime
from perdure.kernel.tracing import Tracer
from perdure.kernel.transport import Handler, Transport
from perdure.matching.configurations import Configurations
from perdure.matching.service import MatchingService

#: Calls that a server which stops may break off.
INTERRUPTIBLE = history_wire.INTERRUPTIBLE
#: After so many leases without a heartbeat, a process is not the one to ask.
_SILENT_LEASES = 3


@dataclass(frozen=True, slots=True)
class Stores:
    """What all processes of a cluster share."""

    executions: ExecutionStore
    shards: ShardStore
    namespaces: NamespaceStore
    members: MembershipStore
    visibility: VisibilityStore
    endpoints: NexusEndpointStore
    task_queues: TaskQueueStore
    deployments: DeploymentStore


@dataclass(frozen=True, slots=True)
class Place:
    """What a process is in its cluster. `host_name` is what callers are told about who owns a task queue."""

    roles: Collection[Role]
    shard_count: int
    lease_s: float
    host_name: str
    has_tenants: bool = False


class ClusterNode:
    """One process of a cluster, without what listens. `start` and what follows are each called once, in that order.

    `handlers` is what it serves to other processes; the gateway stands on `namespaces` and the two routers.
    """

    def __init__(
        self,
        runtime: Runtime,
        limits: Limits,
        place: Place,
        stores: Stores,
        transport: Transport,
        news: News,
        tracer: Tracer | None = None,
        archive: ArchiveStore | None = None,
    ) -> None:
        self._roles = frozenset(place.roles)
        self._shard_count = place.shard_count
        self._lease_s = place.lease_s
        self._expected = tuple(Role) if place.has_tenants else DATA_PLANE
        self._leaving = False
        self._member_id = runtime.entropy.uuid()
        clock, shard_count = runtime.clock, place.shard_count
        self._heartbeat = Heartbeat(stores.members, place.lease_s, news)
        self.namespaces = Namespaces(stores.namespaces, changed=lambda: news.tell(Topic.NAMESPACES))
        self.endpoints = NexusEndpoints(stores.endpoints, clock)
        self.deployments = Deployments(stores.deployments, runtime, limits, lambda: news.tell(Topic.DEPLOYMENTS))
        self._watches = [
            NamespaceWatch(stores.namespaces, self.namespaces, news),
            Watch(self.deployments.catch_up, Topic.DEPLOYMENTS, news),
        ]

        self.history: HistoryService | None = None
        self._ownership: SharedOwnership | None = None
        if Role.HISTORY in place.roles:
            history_parts = (
                runtime,
                limits,
                stores.executions,
                stores.shards,
                self.namespaces,
                shard_count,
                self._member_id,
            )
            self.history = TracedHistory(tracer, *history_parts) if tracer else HistoryService(*history_parts)
            self._ownership = SharedOwnership(self.history.engine, stores.shards, self._heartbeat, news)
        self.history_router = HistoryRouter(self._heartbeat, transport, clock, shard_count, self.history)

        self.matching: MatchingService | None = None
        if Role.MATCHING in place.roles:
            configurations = Configurations(
                stores.task_queues, clock, limits, changed=lambda: news.tell(Topic.TASK_QUEUES)
            )
            self._watches.append(Watch(configurations.catch_up, Topic.TASK_QUEUES, news))
            matching_parts = runtime, limits, self.history_router, configurations, self.deployments, place.host_name
            self.matching = TracedMatching(tracer, *matching_parts) if tracer else MatchingService(*matching_parts)
        self.matching_router = router = MatchingRouter(
            self._heartbeat, transport, clock, self.matching, self.history_router, limits.task_queue_partitions
        )
        if self.matching is not None:
            self.matching.join(router.is_ours, router.knows, router.pass_on, router.hand_on, router.fetch)
        if self.history is not None:
            self.history.connect(
                self.matching_router, stores.visibility, self.history_router, self.endpoints, self.deployments, archive
            )
            self.matching_router.on_move(self.history.offer_moved)

        calls = Calls(self.namespaces, clock)
        engine = self.history.engine if self.history is not None else None
        handlers = dict(status.handlers(self._heartbeat, engine, self.matching, self.namespaces.name_of))
        if self.history is not None:
            handlers.update(history_wire.handlers(self.history, calls))
        if self.matching is not None:
            handlers.update(matching_wire.handlers(self.matching, calls))
        self.handlers: Mapping[str, Handler] = handlers

    def samples(self) -> Iterable[Sample]:
        """What the roles of this process count, and what it sees of the cluster."""
        name_of = self.namespaces.name_of
        if self.history is not None:
            yield from self.history.engine.samples(name_of)
        if self.matching is not None:
            yield from self.matching.samples(name_of)
        routing = {Role.HISTORY: self.history_router.metrics, Role.MATCHING: self.matching_router.metrics}
        yield from ClusterView(self._heartbeat, self._shard_count, routing, self._expected).samples()

    def count_gateways(self) -> int:
        """How many gateways share what a namespace may do."""
        return max(len(candidates(self._heartbeat.members, Role.GATEWAY)), 1)

    async def start(self, address: str) -> None:
        """Get to know the others, who reach this process at that address (`host:port`). It owns nothing yet.

        Raises:
            StoreError: the stores cannot be used.
        """
        for watch in self._watches:
            await watch.start()
        await self._heartbeat.start(Member(self._member_id, address, self._roles))
        if self._ownership is not None:
            await self._ownership.start()
        if self.history is not None:
            self.history.start()
        if self.matching is not None:
            await self.matching.start()

    async def join(self) -> None:
        """Have a share of everything from now on. Not before it is certain that this process stays: others let go of
        what is to be its, for nothing if it is gone before they have all heard of it.

        Raises:
            StoreError: the stores cannot be used.
        """
        await self._heartbeat.join()

    @property
    def defect(self) -> str:
        """What only a new process mends, empty if there is nothing."""
        loops = [*self._heartbeat.background, *(loop for watch in self._watches for loop in watch.background)]
        if self._ownership is not None:
            loops += self._ownership.loops
        if self.history is not None:
            loops += self.history.loops
        return self.defect_of(loops)

    def defect_of(self, loops: Iterable[asyncio.Task[None]]) -> str:
        """`defect`, as far as it is about these loops of this process."""
        if not self._leaving and any(loop.done() for loop in loops):
            return "something has ended that should run for ever"
        return ""

    @property
    def reluctance(self) -> str:
        """Why nobody should ask this process anything now, empty if all is well."""
        if self._leaving:
            return "on its way out"
        if self._heartbeat.age_s > _SILENT_LEASES * self._lease_s:
            return f"no heartbeat since {self._heartbeat.age_s:.0f} s"
        return self.defect

    async def leave(self) -> None:
        """Tell the others that this process is about to go. It still serves what it owns."""
        self._leaving = True
        await self._heartbeat.leave()

    async def hand_over(self) -> None:
        """End waiting polls, and give every shard back. What comes from now on is sent to others."""
        if self.matching is not None:
            await self.matching.stop()
        if self._ownership is not None:
            await self._ownership.leave()

    async def stop(self) -> None:
        """Be gone. Nobody calls any more."""
        await self._heartbeat.stop()
        if self._ownership is not None:
            await self._ownership.stop()
        if self.history is not None:
            await self.history.stop()
        await self.matching_router.stop()
        await self.history_router.stop()
        for watch in self._watches:
            await watch.stop()
