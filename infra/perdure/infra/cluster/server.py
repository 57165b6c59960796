"""Wiring: some roles in this process, in a cluster with others, on Postgres. Explicit constructor calls, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from perdure.frontend.handlers.cluster import ClusterDescription
from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.service import Gateway
from perdure.frontend.services import Service
from perdure.frontend.tls import ServerTls, nobody
from perdure.frontend.transport import GrpcServer
from perdure.frontend.transport import Ports as FrontPorts
from perdure.infra.archive import Archive, S3Access
from perdure.infra.cluster.metrics import channel_samples, news_samples
from perdure.infra.cluster.node import INTERRUPTIBLE, ClusterNode, Place, Stores
from perdure.infra.exporters import PrometheusExporter
from perdure.infra.http import HttpServer, Page
from perdure.infra.http_api import DATA_PLANE, rpcs
from perdure.infra.old_usage import OldUsage
from perdure.infra.postgres import (
    PostgresClusterStore,
    PostgresDatabases,
    PostgresDeploymentStore,
    PostgresExecutionStore,
    PostgresMembershipStore,
    PostgresNamespaceStore,
    PostgresNexusEndpointStore,
    PostgresShardStore,
    PostgresTaskQueueStore,
    PostgresUsageStore,
    PostgresVisibilityStore,
)
from perdure.infra.redis.news import RedisNews
from perdure.infra.rest.hosts import is_private
from perdure.infra.rest.server import AsgiServer
from perdure.infra.rest.site import Site
from perdure.infra.rpc import Channels, InternalServer, TlsFiles
from perdure.infra.settings import InternalTls, Settings
from perdure.kernel.clock import SystemClock
from perdure.kernel.limits import Limits, NamespaceLimits
from perdure.kernel.membership import Role
from perdure.kernel.metrics import Sample
from perdure.kernel.namespace import NOT_ARCHIVED, Archival
from perdure.kernel.news import NoNews
from perdure.kernel.runtime import Runtime

if TYPE_CHECKING:
    from perdure.infra.tenancy.cluster import ClusterTenancy
    from perdure.infra.tracing.otlp import OtlpTracer

#: How long calls in flight may take to finish when the process stops.
GRACE_S = 5.0
#: The roles that tenants call. The others believe them.
_FOR_TENANTS = {Role.GATEWAY, Role.CONTROL_PLANE}
_HEALTH_PATH = "/healthz"


class Ports(NamedTuple):
    """Where the process listens. One that is neither gateway nor control plane has no `grpc`; `mutual` is for clients
    that show certificates, `web` is the control plane's REST API, `api` the gateway's.
    """

    grpc: int | None
    http: int
    internal: int
    mutual: int | None = None
    web: int | None = None
    api: int | None = None


class ClusterServer:
    """Some roles in this process. `start` and `stop` are each called once."""

    def __init__(
        self,
        settings: Settings,
        runtime: Runtime,
        databases: PostgresDatabases,
        cluster_id: str,
        tenancy: ClusterTenancy | None = None,
    ) -> None:
        """Without `tenancy` everybody who can reach a gateway may do everything.

        Raises:
            OSError: a TLS file cannot be read.
        """
        self._tenancy = tenancy
        self._settings = settings
        self._clock = runtime.clock
        self._databases = databases
        limits, listen = settings.all_limits(), settings.listen
        tls, has_tenants = internal_tls(settings.internal_tls), settings.control_plane.database is not None
        self._news = RedisNews(settings.redis.url, cluster_id, runtime.entropy) if settings.redis.url else None
        self._transport = Channels(tls=tls)
        self._tracer = _tracer(settings)
        self._archive = _archive(settings)
        self._node = node = ClusterNode(
            runtime,
            limits,
            Place(settings.roles, databases.shard_count, settings.lease_s, listen.advertised_host, has_tenants),
            _stores(databases),
            self._transport,
            self._news or NoNews(),
            self._tracer,
            self._archive,
        )
        if tenancy is not None:
            usage = PostgresUsageStore(databases)
            uri = settings.archive.uri if settings.archive.by_default else None
            archival = Archival(enabled=True, uri=uri) if uri is not None else NOT_ARCHIVED
            news = self._news or NoNews()
            tenancy.connect(node.namespaces, node.endpoints, node.history_router, news, usage, archival)
        # What others than the gateway serve, on its ports if it is here: as it is, and received for HTTP.
        served, received = tenancy.services() if tenancy else [], list[Service]()
        self._gateway: Gateway | None = None
        self._front: GrpcServer | None = None
        if Role.GATEWAY in settings.roles:
            self._gateway = self._build_gateway(runtime, databases, limits, served)
            received = self._gateway.others
        elif served:
            self._front_metrics = GatewayMetrics()
            self._front = GrpcServer(served, self._front_metrics, runtime.clock, lambda name: False, self._tracer)
            received = self._front.reception.services(served, "http")
        self._old_usage: OldUsage | None = None
        if Role.HISTORY in settings.roles:
            self._old_usage = OldUsage(PostgresUsageStore(databases), runtime.clock)
        handlers = {**node.handlers, **tenancy.handlers()} if tenancy else node.handlers
        self._internal = InternalServer(handlers, interruptible=INTERRUPTIBLE, tls=tls)
        self._http = HttpServer(self._pages())
        self._front_tls = self._tls()
        # Not on the port for operators, whose pages name all tenants.
        health = {_HEALTH_PATH: self._health}
        self._web = tenancy.web_server(health, received, self._front_tls) if tenancy else None
        self._api = self._open_api(self._gateway) if self._gateway else None

    def _build_gateway(
        self, runtime: Runtime, databases: PostgresDatabases, limits: Limits, served: Sequence[Service]
    ) -> Gateway:
        node, tenancy, listen = self._node, self._tenancy, self._settings.listen
        return Gateway(
            runtime,
            limits,
            node.namespaces,
            node.history_router,
            node.matching_router,
            PostgresVisibilityStore(databases),
            node.history_router,
            PostgresClusterStore(databases),
            node.endpoints,
            ClusterDescription(databases.shard_count, "postgres", f"{listen.host}:{listen.grpc_port}"),
            node.deployments,
            limits_of=self._limits_of,
            gateways=node.count_gateways,
            tracer=self._tracer,
            guard=tenancy.guard if tenancy else None,
            also=served,
            acts=tenancy.acts if tenancy else None,
            archive=self._archive,
        )

    def _open_api(self, gateway: Gateway) -> AsgiServer:
        if self._tenancy is not None:
            served, described = rpcs(DATA_PLANE, gateway.services, guard=self._tenancy.guard)
        else:
            served, described = rpcs(replace(DATA_PLANE, bearer=False), gateway.services)
        site = Site(
            [served],
            {_HEALTH_PATH: self._health, **described},
            is_host=is_private if self._tenancy is None else None,
        )
        return AsgiServer(site, tls=self._front_tls.context() if self._front_tls else None)

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
            return cls(settings, runtime, databases, cluster_id, await _tenancy(settings, runtime))
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
        front: FrontPorts | None = None
        try:
            if self._news is not None:
                self._news.start()
            internal = await self._internal.start(f"{listen.host}:{listen.internal_port}")
            address = listen.advertise or f"{listen.host}:{internal}"
            await self._node.start(address)
            if self._tenancy is not None:
                await self._tenancy.start()
            if (server := self._gateway or self._front) is not None:
                mutual = self._front_tls is not None and self._tenancy is not None and self._gateway is not None
                front = await server.start(
                    f"{listen.host}:{listen.grpc_port}",
                    self._front_tls,
                    # Certificates open namespaces, which are the gateway's.
                    f"{listen.host}:{listen.mtls_port}" if mutual else "",
                )
            web = await self._web.start(listen.host, listen.web_port) if self._web else None
            api = await self._api.start(listen.host, listen.api_port) if self._api else None
            http = await self._http.start(listen.host, listen.http_port)
            await self._node.join()
            if self._old_usage is not None:
                self._old_usage.start()
        except BaseException:
            await self.stop(grace_s=0)
            await self.close()
            raise
        return Ports(front and front.public, http, internal, front and front.mutual, web, api)

    def _tls(self) -> ServerTls | None:
        """For the ports of clients."""
        files = self._settings.tls
        if files.certificate is None or files.key is None:
            return None
        authorities = self._tenancy.authorities if self._tenancy else nobody
        return ServerTls(files.certificate, files.key, self._clock, authorities)

    def _pages(self) -> dict[str, Callable[[], Page]]:
        exporter = PrometheusExporter([self._node.samples, self._samples])
        return {
            # Who asks which processes to send to, and who asks which to replace: that does not heal a database.
            _HEALTH_PATH: self._health,
            "/livez": lambda: _health(self._defect),
            "/metrics": lambda: Page(HTTPStatus.OK, exporter.content_type, exporter.render()),
        }

    def _health(self) -> Page:
        return _health(self._node.reluctance or self._defect or (self._tenancy.reluctance if self._tenancy else ""))

    @property
    def _defect(self) -> str:
        """What only a new process mends, empty if there is nothing."""
        loops = self._tenancy.background if self._tenancy else []
        if self._web is not None:
            loops += self._web.background
        if self._api is not None:
            loops += self._api.background
        return self._node.defect_of(loops)

    def _limits_of(self, namespace: str) -> NamespaceLimits:
        limits = self._settings.limits_of(namespace)
        return limits if self._tenancy is None else self._tenancy.limits_of(namespace, limits)

    def _samples(self) -> Iterable[Sample]:
        """What is counted here besides the roles behind the gateway."""
        if self._gateway is not None:
            yield from self._gateway.metrics.samples()
        elif self._front is not None:
            yield from self._front_metrics.samples()
        yield from channel_samples(self._transport)
        if self._news is not None:
            yield from news_samples(self._news.connected)
        if self._tenancy is not None:
            yield from self._tenancy.samples()
        for database in self._databases:
            yield from database.samples()

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """Hand everything over, then from the outside in: clients, other processes, the roles, the databases."""
        await self._node.leave()
        if self._old_usage is not None:
            await self._old_usage.stop()
        server = self._gateway or self._front
        if server is not None:
            await server.drain()
        await self._node.hand_over()
        if server is not None:
            await server.stop(grace_s)
        if self._web is not None:
            await self._web.stop()
        if self._api is not None:
            await self._api.stop()
        if self._tenancy is not None:
            await self._tenancy.stop()
        await self._internal.stop(grace_s)
        await self._http.stop()
        await self._node.stop()
        await self._transport.close()
        if self._news is not None:
            await self._news.stop()
        if self._archive is not None:
            await self._archive.aclose()
        await self._databases.close()
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close)

    async def close(self) -> None:
        """After `stop`: give up the clients' ports. For a process that goes on without this server."""
        if (server := self._gateway or self._front) is not None:
            await server.close()


def _stores(databases: PostgresDatabases) -> Stores:
    return Stores(
        PostgresExecutionStore(databases),
        PostgresShardStore(databases),
        PostgresNamespaceStore(databases),
        PostgresMembershipStore(databases),
        PostgresVisibilityStore(databases),
        PostgresNexusEndpointStore(databases),
        PostgresTaskQueueStore(databases),
        PostgresDeploymentStore(databases),
    )


def _archive(settings: Settings) -> Archive | None:
    archive, s3 = settings.archive, settings.archive.s3
    if archive.uri is None:
        return None
    access = None
    if s3.access_key_id:
        endpoint = s3.endpoint or f"https://s3.{s3.region}.amazonaws.com"
        access = S3Access(endpoint, s3.region, s3.access_key_id, s3.secret_access_key)
    return Archive(archive.uri, SystemClock(), archive.also, access, by_default=archive.by_default)


async def _tenancy(settings: Settings, runtime: Runtime) -> ClusterTenancy | None:
    if settings.control_plane.database is None or not _FOR_TENANTS & set(settings.roles):
        return None
    # Late, because it loads a lot that clusters without tenants do without.
    from perdure.infra.tenancy.cluster import ClusterTenancy

    return await ClusterTenancy.open(settings, runtime)


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


def _health(trouble: str) -> Page:
    status = HTTPStatus.SERVICE_UNAVAILABLE if trouble else HTTPStatus.OK
    return Page(status, "text/plain; charset=utf-8", f"{trouble or 'ok'}\n".encode())
