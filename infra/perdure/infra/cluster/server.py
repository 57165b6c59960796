"""Wiring: some roles in this process, in a cluster with others, on Postgres. Explicit constructor calls, no more."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

from perdure.frontend.handlers.cluster import ClusterDescription
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.service import Gateway
from perdure.history.ownership import SharedOwnership
from perdure.history.service import HistoryService
from perdure.infra.cluster import history_wire, matching_wire
from perdure.infra.cluster.heartbeat import Heartbeat
from perdure.infra.cluster.history_router import HistoryRouter
from perdure.infra.cluster.matching_router import MatchingRouter
from perdure.infra.cluster.namespace_watch import NamespaceWatch
from perdure.infra.cluster.wire import Calls
from perdure.infra.exporters import PrometheusExporter
from perdure.infra.http import HttpServer, Page
from perdure.infra.postgres import (
    PostgresClusterStore,
    PostgresDatabases,
    PostgresExecutionStore,
    PostgresMembershipStore,
    PostgresNamespaceStore,
    PostgresShardStore,
    PostgresVisibilityStore,
)
from perdure.infra.redis.news import RedisNews
from perdure.infra.rpc import Channels, InternalServer, TlsFiles
from perdure.infra.settings import InternalTls, Settings
from perdure.kernel.membership import Member, Role, candidates
from perdure.kernel.metrics import GatewayMetrics
from perdure.kernel.news import NoNews, Topic
from perdure.kernel.runtime import Runtime
from perdure.kernel.transport import Handler
from perdure.matching.service import MatchingService

#: How long calls in flight may take to finish when the process stops.
GRACE_S = 5.0


class Ports(NamedTuple):
    """Where the process listens. A process without the gateway role has no `grpc`."""

    grpc: int | None
    http: int
    internal: int


class ClusterServer:
    """Some roles in this process. `start` and `stop` are each called once."""

    def __init__(self, settings: Settings, runtime: Runtime, databases: PostgresDatabases, cluster_id: str) -> None:
        """Raises OSError if a TLS file cannot be read."""
        self._settings = settings
        self._runtime = runtime
        self._databases = databases
        self._member_id = runtime.entropy.uuid()
        limits, clock, roles, shard_count = settings.all_limits(), runtime.clock, settings.roles, databases.shard_count
        tls = _tls(settings.internal_tls)
        self._news = RedisNews(settings.redis.url, cluster_id, runtime.entropy) if settings.redis.url else None
        news = self._news or NoNews()
        self._transport = Channels(tls=tls)
        self._heartbeat = Heartbeat(PostgresMembershipStore(databases), settings.lease_s, news)

        namespace_store = PostgresNamespaceStore(databases)
        namespaces = Namespaces(namespace_store, changed=lambda: news.tell(Topic.NAMESPACES))
        self._watch = NamespaceWatch(namespace_store, namespaces, news)

        self._history: HistoryService | None = None
        self._ownership: SharedOwnership | None = None
        if Role.HISTORY in roles:
            executions, shards = PostgresExecutionStore(databases), PostgresShardStore(databases)
            self._history = HistoryService(
                runtime, limits, executions, shards, namespaces, shard_count, self._member_id
            )
            self._ownership = SharedOwnership(self._history.engine, shards, self._heartbeat, news)
        self._history_router = HistoryRouter(self._heartbeat, self._transport, clock, shard_count, self._history)

        self._matching: MatchingService | None = None
        if Role.MATCHING in roles:
            self._matching = MatchingService(runtime, limits, self._history_router, settings.listen.advertised_host)
        self._matching_router = MatchingRouter(
            self._heartbeat,
            self._transport,
            clock,
            self._matching,
            self._history_router,
            limits.task_queue_partitions,
        )
        if self._matching is not None:
            router = self._matching_router
            self._matching.join(router.is_ours, router.offer, router.hand_on, router.fetch)
        if self._history is not None:
            self._history.connect(self._matching_router, self._history_router)
            self._matching_router.on_move(self._history.offer_moved)

        self._gateway: Gateway | None = None
        if Role.GATEWAY in roles:
            self._gateway = Gateway(
                runtime,
                limits,
                namespaces,
                self._history_router,
                self._matching_router,
                PostgresVisibilityStore(databases),
                self._history_router,
                PostgresClusterStore(databases),
                ClusterDescription(shard_count, "postgres", f"{settings.listen.host}:{settings.listen.grpc_port}"),
                limits_of=settings.limits_of,
                gateways=self._count_gateways,
            )
        calls = Calls(namespaces, clock)
        handlers: dict[str, Handler] = {}
        if self._history is not None:
            handlers.update(history_wire.handlers(self._history, calls))
        if self._matching is not None:
            handlers.update(matching_wire.handlers(self._matching, calls))
        self._internal = InternalServer(handlers, interruptible=history_wire.INTERRUPTIBLE, tls=tls)
        self._http = HttpServer(_pages(self._gateway.metrics if self._gateway else GatewayMetrics()))

    def _count_gateways(self) -> int:
        return max(len(candidates(self._heartbeat.members, Role.GATEWAY)), 1)

    @classmethod
    async def open(cls, settings: Settings, runtime: Runtime) -> ClusterServer:
        """Connect to the databases.

        Raises:
            StoreError, BadDatabases: they cannot be used.
            OSError: a TLS file cannot be read.
        """
        databases = await PostgresDatabases.open(settings.databases)
        try:
            cluster_id = await PostgresClusterStore(databases).identify(runtime.entropy.uuid())
            return cls(settings, runtime, databases, cluster_id)
        except BaseException:
            await databases.close()
            raise

    async def start(self) -> Ports:
        """Serve. If it raises, nothing is left running.

        Raises:
            StoreError: the databases cannot be used.
            OSError: a port cannot be had.
        """
        listen = self._settings.listen
        grpc = None
        try:
            if self._news is not None:
                self._news.start()
            await self._watch.start()
            internal = await self._internal.start(f"{listen.host}:{listen.internal_port}")
            address = listen.advertise or f"{listen.host}:{internal}"
            await self._heartbeat.start(Member(self._member_id, address, frozenset(self._settings.roles)))
            if self._ownership is not None:
                await self._ownership.start()
            if self._matching is not None:
                await self._matching.start()
            if self._gateway is not None:
                grpc = await self._gateway.start(f"{listen.host}:{listen.grpc_port}")
            http = await self._http.start(listen.host, listen.http_port)
        except BaseException:
            await self.stop(grace_s=0)
            raise
        return Ports(grpc, http, internal)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Hand everything over, then from the outside in: clients, other processes, the roles, the databases."""
        await self._heartbeat.leave()
        if self._gateway is not None:
            await self._gateway.drain()
        if self._matching is not None:
            await self._matching.stop()
        if self._ownership is not None:
            await self._ownership.leave()
        if self._gateway is not None:
            await self._gateway.stop(grace_s)
        await self._internal.stop(grace_s)
        await self._http.stop()
        await self._heartbeat.stop()
        if self._ownership is not None:
            await self._ownership.stop()
        if self._history is not None:
            await self._history.stop()
        await self._matching_router.stop()
        await self._history_router.stop()
        await self._watch.stop()
        await self._transport.close()
        if self._news is not None:
            await self._news.stop()
        await self._databases.close()


def _tls(settings: InternalTls) -> TlsFiles | None:
    if settings.authority is None or settings.certificate is None or settings.key is None:
        return None
    return TlsFiles(settings.authority, settings.certificate, settings.key)


def _pages(metrics: GatewayMetrics) -> dict[str, Callable[[], Page]]:
    exporter = PrometheusExporter(metrics)
    return {
        "/healthz": lambda: Page(HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n"),
        "/metrics": lambda: Page(HTTPStatus.OK, exporter.content_type, exporter.render()),
    }
