"""Wiring: every role in one process over one SQLite file. Explicit constructor calls, nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perdure.frontend.handlers.cluster import ClusterDescription
from perdure.frontend.handlers.search_attributes import check_new_attribute, with_attributes
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.frontend.service import Gateway
from perdure.frontend.services import Service
from perdure.frontend.transport import Ports
from perdure.history.ownership import SoleOwner
from perdure.history.service import HistoryService, Reclaimer
from perdure.infra import belonging
from perdure.infra.archive import Archive
from perdure.infra.exporters import PrometheusExporter
from perdure.infra.http import HttpServer, Page
from perdure.infra.old_usage import OldUsage
from perdure.infra.options import Options
from perdure.infra.rest.on_demand import OnDemand
from perdure.infra.sqlite import (
    SqliteClusterStore,
    SqliteDatabase,
    SqliteDeploymentStore,
    SqliteExecutionStore,
    SqliteNamespaceStore,
    SqliteNexusEndpointStore,
    SqliteShardStore,
    SqliteTaskQueueStore,
    SqliteUsageStore,
    SqliteVisibilityStore,
)
from perdure.kernel.clock import SkippingClock, SystemClock
from perdure.kernel.deployments.directory import Deployments
from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.limits import NamespaceLimits
from perdure.kernel.namespace import DAY_NS, NOT_ARCHIVED, Archival, Namespace
from perdure.kernel.runtime import Runtime
from perdure.matching.configurations import Configurations
from perdure.matching.service import MatchingService

if TYPE_CHECKING:
    from perdure.api.resources.endpoints import NamespaceEndpoints
    from perdure.infra.rest.server import AsgiServer
    from perdure.infra.tenancy.embedded import EmbeddedTenancy
    from perdure.infra.time_skipping.skipping import TimeSkipping

#: How long calls in flight may take to finish when the server stops.
GRACE_S = 5.0
SHARD_COUNT = 1
_PAGE_SIZE = 1000
#: Whoever skips a month still wants to see what was before.
_TEST_RETENTION_NS = 3650 * DAY_NS


class ServerPorts(NamedTuple):
    """`mutual` is for clients that show certificates, `metrics` for operators if `http` is for tenants."""

    grpc: int
    http: int
    mutual: int | None = None
    metrics: int | None = None


class EmbeddedServer:
    """All roles in this process. `start` and `stop` are each called once."""

    def __init__(self, options: Options, runtime: Runtime, tenancy: EmbeddedTenancy | None = None) -> None:
        """Opens the database. Without `tenancy` everybody who can reach the server may do everything.

        Raises:
            DatabaseUnusable: see `SqliteDatabase.open`.
        """
        limits = options.limits
        self._options = options
        self._runtime = runtime
        self._database = SqliteDatabase.open(options.database)
        self._namespaces = Namespaces(SqliteNamespaceStore(self._database))
        executions, shards = SqliteExecutionStore(self._database), SqliteShardStore(self._database)
        self._history = HistoryService(runtime, limits, executions, shards, self._namespaces, SHARD_COUNT)
        self._ownership = SoleOwner(self._history.engine)
        usage = SqliteUsageStore(self._database)
        self._old_usage = OldUsage(usage, runtime.clock)
        self._configurations = Configurations(SqliteTaskQueueStore(self._database), runtime.clock, limits)
        self._deployments = Deployments(SqliteDeploymentStore(self._database), runtime, limits)
        self._matching = MatchingService(runtime, limits, self._history, self._configurations, self._deployments)
        visibility = SqliteVisibilityStore(self._database)
        self._archive = _archive(options)
        endpoints = NexusEndpoints(SqliteNexusEndpointStore(self._database), runtime.clock)
        self._history.connect(
            self._matching, visibility, endpoints=endpoints, deployments=self._deployments, archive=self._archive
        )
        self._tenancy = tenancy
        self._ports: Ports | None = None
        self._pages = ""
        reclaimer = Reclaimer(self._history)
        if tenancy is not None:
            tenancy.connect(self._namespaces, endpoints, reclaimer, self._endpoints, usage, self._archival)
        self._skipping = _time_skipping(options, runtime, self._history, self._matching)
        self._gateway = Gateway(
            runtime,
            limits,
            self._namespaces,
            self._history,
            self._matching,
            visibility,
            reclaimer,
            SqliteClusterStore(self._database),
            endpoints,
            ClusterDescription(SHARD_COUNT, "sqlite", f"{options.ip}:{options.port}"),
            self._deployments,
            limits_of=self._limits_of,
            guard=tenancy.guard if tenancy else None,
            also=tenancy.services() if tenancy else self._test_services(),
            acts=tenancy.acts if tenancy else None,
            archive=self._archive,
        )
        name_of = self._namespaces.name_of
        exporter = PrometheusExporter(
            [
                self._gateway.metrics.samples,
                lambda: self._history.engine.samples(name_of),
                lambda: self._matching.samples(name_of),
            ]
        )
        health = {"/healthz": lambda: Page(HTTPStatus.OK, "text/plain; charset=utf-8", b"ok\n")}
        pages = {**health, "/metrics": lambda: Page(HTTPStatus.OK, exporter.content_type, exporter.render())}
        # Metrics name all tenants.
        self._http = (
            tenancy.http_server(health, self._gateway.others, self._gateway.services)
            if tenancy
            else OnDemand(lambda: self._open_http_server(pages))
        )
        self._operators = HttpServer(pages)

    def _test_services(self) -> Sequence[Service]:
        if self._skipping is None:
            return ()
        # Late, because only tests need it.
        from perdure.infra.time_skipping.service import service

        return (service(self._skipping),)

    def _open_http_server(self, pages: Mapping[str, Callable[[], Page]]) -> AsgiServer:
        """The API and these pages, for everybody who can reach it: not for pages of elsewhere in somebody's browser."""
        # Late, because most who run this server never call it over HTTP.
        from perdure.infra.http_api import DATA_PLANE, rpcs
        from perdure.infra.rest.hosts import is_private
        from perdure.infra.rest.server import AsgiServer
        from perdure.infra.rest.site import Site

        served, described = rpcs(replace(DATA_PLANE, bearer=False), self._gateway.services)
        return AsgiServer(Site([served], {**pages, **described}, is_host=is_private))

    async def start(self) -> ServerPorts:
        """Serve. If it raises, nothing is left running.

        Raises:
            StoreError: the database cannot be used.
            OSError: a port cannot be had.
            InvalidArgument: a namespace or search attribute of the options cannot be.
            StartFailed: the database was not served so before.
        """
        try:
            await self._check_namespaces()
            await self._configurations.catch_up()
            await self._deployments.catch_up()
            await self._ownership.start()
            self._history.start()
            await self._matching.start()
            self._old_usage.start()
            if self._skipping is not None:
                self._skipping.start()
            ports = self._ports = await self._serve()
            with _blaming("--http-port"):
                http_port = await self._http.start(self._options.ip, self._options.http_port)
            metrics_port, secure = None, self._options.secure
            if secure is not None:
                self._pages = f"https://{self._options.place(http_port)}"
                if secure.metrics_port is not None:
                    with _blaming("--metrics-port"):
                        metrics_port = await self._operators.start("127.0.0.1", secure.metrics_port)
        except BaseException:
            await self.stop(grace_s=0)
            await self._gateway.close()
            raise
        return ServerPorts(ports.public, http_port, ports.mutual, metrics_port)

    async def _serve(self) -> Ports:
        address, tenancy, secure = f"{self._options.ip}:{self._options.port}", self._tenancy, self._options.secure
        if tenancy is None or secure is None:
            return await self._gateway.start(address)
        await tenancy.start()
        return await self._gateway.start(address, tenancy.tls, f"{self._options.ip}:{secure.mutual_port}")

    def _endpoints(self) -> NamespaceEndpoints:
        """Where clients are to connect, as soon as that is known."""
        # Late, because only tenants need it.
        from perdure.api.resources.endpoints import NamespaceEndpoints

        ports, place = self._ports, self._options.place
        if ports is None:
            return NamespaceEndpoints()
        return NamespaceEndpoints(
            place(ports.public), place(ports.mutual), pages=self._pages, cloud=place(ports.public)
        )

    def _limits_of(self, namespace: str) -> NamespaceLimits:
        limits = self._options.namespace_limits
        return limits if self._tenancy is None else self._tenancy.limits_of(namespace, limits)

    async def stop(self, grace_s: float = GRACE_S) -> None:
        """From the outside in: polls end empty, calls in flight finish, then the roles, then the file."""
        if self._skipping is not None:
            await self._skipping.stop()
        await self._gateway.drain()
        await self._matching.stop()
        await self._gateway.stop(grace_s)
        await self._http.stop()
        await self._operators.stop()
        if self._tenancy is not None:
            await self._tenancy.stop()
        await self._old_usage.stop()
        await self._ownership.stop()
        await self._history.stop()
        if self._archive is not None:
            await self._archive.aclose()
        await self._database.close()

    async def _check_namespaces(self) -> None:
        found, after = [], None
        while page := await self._namespaces.page(after, _PAGE_SIZE):
            found += page
            after = page[-1].name
        if self._tenancy is not None:
            await self._tenancy.check(found)
            return
        if not self._options.open_anyway:
            belonging.check_open(found)
        await self._ensure_namespaces()

    async def _ensure_namespaces(self) -> None:
        for name, kind in self._options.search_attributes.items():
            check_new_attribute(name, kind, self._options.limits)
        for name in self._options.namespaces:
            try:
                namespace = await self._namespaces.find(name)
            except NamespaceNotFound:
                namespace = Namespace(
                    id=NamespaceId(self._runtime.entropy.uuid()),
                    name=NamespaceName(name),
                    created_at_ns=self._runtime.clock.now_ns(),
                    retention_ns=DAY_NS if self._skipping is None else _TEST_RETENTION_NS,
                )
                await self._namespaces.create(self._as_asked(namespace))
                continue
            changed = self._as_asked(namespace)
            if changed != namespace:
                await self._namespaces.update(msgspec.structs.replace(changed, version=namespace.version + 1))

    def _as_asked(self, namespace: Namespace) -> Namespace:
        """With the search attributes of the options, and archived unless somebody has decided on that before."""
        namespace = with_attributes(namespace, self._options.search_attributes)
        if not namespace.history_archival.uri:
            namespace = msgspec.structs.replace(namespace, history_archival=self._archival)
        if not namespace.visibility_archival.uri:
            namespace = msgspec.structs.replace(namespace, visibility_archival=self._archival)
        return namespace

    @property
    def _archival(self) -> Archival:
        """Of new namespaces."""
        archive = self._options.archive
        return NOT_ARCHIVED if archive is None else Archival(enabled=True, uri=archive.uri)


def _archive(options: Options) -> Archive | None:
    """On the system's clock, whatever the server's is: buckets refuse requests of another time."""
    if options.archive is None:
        return None
    return Archive(options.archive.uri, SystemClock(), s3=options.archive.s3, by_default=True)


def _time_skipping(
    options: Options, runtime: Runtime, history: HistoryService, matching: MatchingService
) -> TimeSkipping | None:
    clock = runtime.clock
    if options.time_skipping is None or not isinstance(clock, SkippingClock):
        return None
    # Late, because only tests need it.
    from perdure.history.idleness import activities_at_work, is_busy, next_alarm_ns
    from perdure.infra.time_skipping.skipping import TimeSkipping

    return TimeSkipping(
        clock,
        lambda: matching.requests_pending > 0 or is_busy(history.engine),
        lambda: activities_at_work(history.engine),
        lambda: next_alarm_ns(history.engine),
        locks=1 if options.time_skipping.locked else 0,
    )


@contextmanager
def _blaming(flag: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(f"{flag}: {error.strerror or error}") from error
