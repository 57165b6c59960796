"""Wiring: some roles in this process, in a cluster with others, on Postgres. Explicit constructor calls, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from perdure.frontend.handlers.cluster import ClusterDescription
from perdure.frontend.service import Gateway
from perdure.infra.cluster.metrics import channel_samples, news_samples
from perdure.infra.cluster.node import INTERRUPTIBLE, ClusterNode, Place, Stores
from perdure.infra.exporters import PrometheusExporter
from perdure.infra.http import HttpServer, Page
from perdure.infra.old_usage import OldUsage
from perdure.infra.postgres import (
    PostgresClusterStore,
    PostgresDatabases,
    PostgresExecutionStore,
    PostgresMembershipStore,
    PostgresNamespaceStore,
    PostgresShardStore,
    PostgresUsageStore,
    PostgresVisibilityStore,
)
from perdure.infra.redis.news import RedisNews
from perdure.infra.rpc import Channels, InternalServer, TlsFiles
from perdure.infra.settings import InternalTls, Settings
from perdure.kernel.membership import Role
from perdure.kernel.metrics import Sample, Source
from perdure.kernel.news import NoNews
from perdure.kernel.runtime import Runtime

if TYPE_CHECKING:
    from perdure.infra.tracing.otlp import OtlpTracer

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
        self._databases = databases
        limits, listen = settings.all_limits(), settings.listen
        tls = internal_tls(settings.internal_tls)
        self._news = RedisNews(settings.redis.url, cluster_id, runtime.entropy) if settings.redis.url else None
        self._transport = Channels(tls=tls)
        self._tracer = _tracer(settings)
        self._node = node = ClusterNode(
            runtime,
            limits,
            Place(settings.roles, databases.shard_count, settings.lease_s, listen.advertised_host),
            Stores(
                PostgresExecutionStore(databases),
                PostgresShardStore(databases),
                PostgresNamespaceStore(databases),
                PostgresMembershipStore(databases),
            ),
            self._transport,
            self._news or NoNews(),
            self._tracer,
        )
        self._gateway: Gateway | None = None
        if Role.GATEWAY in settings.roles:
            self._gateway = Gateway(
                runtime,
                limits,
                node.namespaces,
                node.history_router,
                node.matching_router,
                PostgresVisibilityStore(databases),
                node.history_router,
                PostgresClusterStore(databases),
                ClusterDescription(databases.shard_count, "postgres", f"{listen.host}:{listen.grpc_port}"),
                limits_of=settings.limits_of,
                gateways=node.count_gateways,
                tracer=self._tracer,
            )
        self._old_usage: OldUsage | None = None
        if Role.HISTORY in settings.roles:
            self._old_usage = OldUsage(PostgresUsageStore(databases), runtime.clock)
        self._internal = InternalServer(node.handlers, interruptible=INTERRUPTIBLE, tls=tls)
        self._http = HttpServer(_pages(node, [node.samples, self._samples]))

    @classmethod
    async def open(cls, settings: Settings, runtime: Runtime) -> ClusterServer:
        """Connect to the databases.

        Raises:
            StoreError, BadDatabases: they cannot be used.
            OSError: a TLS file cannot be read.
        """
        databases = await PostgresDatabases.open(settings.databases, all_there=False)
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
            internal = await self._internal.start(f"{listen.host}:{listen.internal_port}")
            address = listen.advertise or f"{listen.host}:{internal}"
            await self._node.start(address)
            if self._gateway is not None:
                grpc = await self._gateway.start(f"{listen.host}:{listen.grpc_port}")
            http = await self._http.start(listen.host, listen.http_port)
            await self._node.join()
            if self._old_usage is not None:
                self._old_usage.start()
        except BaseException:
            await self.stop(grace_s=0)
            if self._gateway is not None:
                await self._gateway.close()
            raise
        return Ports(grpc, http, internal)

    def _samples(self) -> Iterable[Sample]:
        """What is counted here besides the roles behind the gateway."""
        if self._gateway is not None:
            yield from self._gateway.metrics.samples()
        yield from channel_samples(self._transport)
        if self._news is not None:
            yield from news_samples(self._news.connected)
        for database in self._databases:
            yield from database.samples()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Hand everything over, then from the outside in: clients, other processes, the roles, the databases."""
        await self._node.leave()
        if self._old_usage is not None:
            await self._old_usage.stop()
        if self._gateway is not None:
            await self._gateway.drain()
        await self._node.hand_over()
        if self._gateway is not None:
            await self._gateway.stop(grace_s)
        await self._internal.stop(grace_s)
        await self._http.stop()
        await self._node.stop()
        await self._transport.close()
        if self._news is not None:
            await self._news.stop()
        await self._databases.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)


def _tracer(settings: Settings) -> OtlpTracer | None:
    if not settings.tracing.endpoint:
        return None
    # Late, because it loads a lot that nobody else needs.
    from perdure.infra.tracing.otlp import OtlpTracer

    listen = settings.listen
    instance = listen.advertise or f"{listen.host}:{listen.internal_port}"
    return OtlpTracer(settings.tracing.endpoint, settings.tracing.ratio, settings.roles, instance)


def internal_tls(settings: InternalTls) -> TlsFiles | None:
    """The files by which processes of the cluster know each other, if they use any."""
    if settings.authority is None or settings.certificate is None or settings.key is None:
        return None
    return TlsFiles(settings.authority, settings.certificate, settings.key)


def _pages(node: ClusterNode, sources: Sequence[Source]) -> dict[str, Callable[[], Page]]:
    exporter = PrometheusExporter(sources)
    return {
        # Who asks which processes to send to, and who asks which to replace: that does not heal a database.
        "/healthz": lambda: _health(node.reluctance),
        "/livez": lambda: _health(node.defect),
        "/metrics": lambda: Page(HTTPStatus.OK, exporter.content_type, exporter.render()),
    }


def _health(trouble: str) -> Page:
    status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
    return Page(status, "text/plain; charset=utf-8", f"{trouble or 'ok'}\n".encode())
