"""Tenancy in a cluster: gateways decide by what is published, and the role control-plane publishes it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from perdure.api.data import ControlDatabase
from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.people.passwords import Passwords
from perdure.api.people.people import People
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.regions import RegionOfCloud
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.frontend.services import Service
from perdure.frontend.tls import Authorities, ServerTls
from perdure.infra.cluster import access_status
from perdure.infra.http import Page
from perdure.infra.mail import NoMailer, PrintedMailer, SmtpMailer, SmtpServer
from perdure.infra.rest.server import AsgiServer
from perdure.infra.settings import Settings
from perdure.infra.tenancy import sealing_keys, status
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.control_plane import AuditOptions, ControlPlane
from perdure.infra.tenancy.data_plane import SharedNamespaces
from perdure.infra.tenancy.http import control_plane_server
from perdure.infra.tenancy.metrics import access_samples
from perdure.kernel.acts import ActLog
from perdure.kernel.identity import Guard
from perdure.kernel.limits import NamespaceLimits
from perdure.kernel.mailer import Mailer
from perdure.kernel.membership import Role
from perdure.kernel.metrics import Sample
from perdure.kernel.namespace import NOT_ARCHIVED, Archival, NamespaceReclaimer
from perdure.kernel.news import News
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime
from perdure.kernel.transport import Handler


class ClusterTenancy:
    """`open`, `connect`, `start` and `stop` are each called once, in that order."""

    def __init__(self, settings: Settings, runtime: Runtime, database: ControlDatabase) -> None:
        self._settings = settings
        self._runtime = runtime
        self._database = database
        self._access: Access | None = None
        self._control_plane: ControlPlane | None = None
        self._deletion: NamespaceDeletion | None = None

    @classmethod
    async def open(cls, settings: Settings, runtime: Runtime) -> ClusterTenancy:
        """The control plane's database may be away: nobody is let in until it is there.

        Raises:
            StoreError: it has another schema.
        """
        assert settings.control_plane.database is not None
        return cls(settings, runtime, await ControlDatabase.expect(settings.control_plane.database))

    def connect(
        self,
        namespaces: Namespaces,
        nexus: NexusEndpoints,
        reclaimer: NamespaceReclaimer,
        news: News,
        usage: UsageStore,
        archival: Archival = NOT_ARCHIVED,
    ) -> None:
        """Raises:
        PolicyError: an RPC is missing from the table of who may call what.
        OSError, ValueError: the file of sealing keys, or of authorities, cannot be used.
        """
        settings, runtime = self._settings, self._runtime
        self._access = Access(runtime, self._database, news, settings.control_plane.proxies)
        if Role.CONTROL_PLANE not in settings.roles:
            return
        self._deletion = NamespaceDeletion(runtime, namespaces, reclaimer, nexus.store)
        assert settings.control_plane.sealing_keys is not None
        sealer = sealing_keys.read(settings.control_plane.sealing_keys, runtime)
        addresses, region = settings.control_plane.addresses, settings.control_plane.region
        endpoints = NamespaceEndpoints(
            addresses.api_keys, addresses.certificates, addresses.web, addresses.web, addresses.cloud
        )
        audit, outgoing = settings.control_plane.audit, settings.control_plane.outgoing
        self._control_plane = ControlPlane(
            runtime,
            self._access,
            SharedNamespaces(namespaces, self._deletion, nexus, archival),
            news,
            lambda: endpoints,
            usage,
            sealer,
            settings.control_limits(),
            (RegionOfCloud(region.id, region.location),),
            settings.control_plane.connections,
            AuditOptions(audit.days, audit.directory),
            GuardedCalls(AllowedAddresses(outgoing.networks), authority=outgoing.authority),
            mailer=_mailer(settings, runtime),
            people=People(
                Passwords(runtime.entropy),
                sign_up_is_open=settings.control_plane.sign_up,
                sends_mails=settings.control_plane.mail.printed or bool(settings.control_plane.mail.host),
            ),
        )

    @property
    def _connected(self) -> Access:
        assert self._access is not None
        return self._access

    @property
    def guard(self) -> Guard:
        return self._connected.guard

    @property
    def acts(self) -> ActLog:
        return self._connected.acts

    def services(self) -> list[Service]:
        """What this process offers besides the data plane."""
        return self._control_plane.services() if self._control_plane else []

    def web_server(
        self, pages: Mapping[str, Callable[[], Page]], services: Sequence[Service], tls: ServerTls | None
    ) -> AsgiServer | None:
        """The REST API, what is downloaded, and these pages too, if this process has the role. `services` are those of
        `services()`, received.

        Raises:
            OSError: the files of `tls` cannot be used.
        """
        if self._control_plane is None:
            return None
        return control_plane_server(
            services, self._connected, pages, self._control_plane.mounts, tls.context() if tls else None
        )

    def handlers(self) -> Mapping[str, Handler]:
        """What other processes may ask besides."""
        return access_status.handlers(lambda: status.known(self._connected))

    def samples(self) -> Iterable[Sample]:
        yield from access_samples(self._connected)
        if self._control_plane is not None:
            yield from self._control_plane.samples()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [*self._connected.background, *(self._control_plane.background if self._control_plane else ())]

    @property
    def reluctance(self) -> str:
        """Why nobody should ask this process anything now, empty if all is well."""
        watch = self._connected.watch
        return f"nobody is let in: nothing known of the control plane since {watch.age_s:.0f} s" * watch.is_stale

    def authorities(self) -> Authorities:
        return self._connected.authorities()

    def limits_of(self, namespace: str, otherwise: NamespaceLimits) -> NamespaceLimits:
        return self._connected.limits_of(namespace, otherwise)

    async def start(self) -> None:
        """See `AccessWatch.start`."""
        await self._connected.start()
        if self._control_plane is not None:
            self._control_plane.start()

    async def stop(self) -> None:
        if self._control_plane is not None:
            await self._control_plane.stop()
        if self._deletion is not None:
            await self._deletion.stop()
        await self._connected.stop()
        await self._database.aclose()


def _mailer(settings: Settings, runtime: Runtime) -> Mailer:
    mail = settings.control_plane.mail
    if mail.printed:
        return PrintedMailer(sys.stderr.write)
    if not mail.host:
        return NoMailer()
    server = SmtpServer(mail.host, mail.port, mail.security, mail.user, mail.password)
    return SmtpMailer(server, mail.sender, runtime.clock)
