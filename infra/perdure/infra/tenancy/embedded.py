"""Tenancy for `perdure dev --secure`: everything that an installation has, made on the first start.

There is one account with one namespace, whose certificates and API key lie in a directory, ready to be used.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from temporalio.api.cloud.cloudservice.v1 import CreateNamespaceRequest, GetAsyncOperationRequest
from temporalio.api.cloud.operation.v1 import AsyncOperation

from perdure.api.data import ControlDatabase
from perdure.api.founding import found, give_key
from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.resources import kinds
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.sealing import Sealer
from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.frontend.services import Service
from perdure.frontend.tls import ServerTls
from perdure.infra import belonging
from perdure.infra.http import Page
from perdure.infra.mail import PrintedMailer
from perdure.infra.options import CONTROL_PLANE_FILE, Options, Secure
from perdure.infra.private_files import make_private
from perdure.infra.rest.server import AsgiServer
from perdure.infra.startup import StartFailed
from perdure.infra.tenancy import sealing_keys, server_certificate
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.control_plane import AuditOptions, ControlPlane
from perdure.infra.tenancy.credentials import KEY_DAYS, OWNER, Credentials, first_authority, first_namespace
from perdure.infra.tenancy.data_plane import SharedNamespaces
from perdure.infra.tenancy.http import control_plane_server
from perdure.infra.tenancy.reconciling import reconcile
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import NamespaceLimits
from perdure.kernel.namespace import DAY_NS, NOT_ARCHIVED, Archival, Namespace, NamespaceReclaimer
from perdure.kernel.news import LocalNews
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime

_KEY_LIFETIME_NS = KEY_DAYS * DAY_NS
_LOOK_S = 0.05
_AT_ONCE = 100


class EmbeddedTenancy:
    """`open`, `connect`, `start` and `stop` are each called once, in that order."""

    def __init__(
        self, secure: Secure, credentials: Credentials, runtime: Runtime, database: ControlDatabase, sealer: Sealer
    ) -> None:
        self._secure = secure
        self.credentials = credentials
        self._runtime = runtime
        self._database = database
        self._sealer = sealer
        self._news = LocalNews()
        self._access = Access(runtime, database, self._news)
        self._control_plane: ControlPlane | None = None
        self._deletion: NamespaceDeletion | None = None
        self._data_plane: SharedNamespaces | None = None
        self.guard = self._access.guard
        self.acts = self._access.acts
        self.tls = ServerTls(
            credentials.server, credentials.server.with_suffix(".key"), runtime.clock, self._access.authorities
        )

    @classmethod
    async def open(cls, secure: Secure, runtime: Runtime, options: Options) -> EmbeddedTenancy:
        """Make what is missing in the directory.

        Raises:
            OSError: the directory cannot be used.
            ValueError: the file of sealing keys in it has none.
            StoreError: the database in it cannot be used, or the keys are missing that it was written with.
            StartFailed: the certificate in it is for other names.
        """
        directory = secure.directory
        credentials = Credentials(directory)
        names = dict.fromkeys(["localhost", "127.0.0.1", "::1", options.host])
        made = server_certificate.make(directory, list(names), runtime)
        if not made and secure.host and not server_certificate.is_for(directory, secure.host):
            raise StartFailed(
                f"{credentials.server} is not for {secure.host}: remove it, and the next start makes another one, "
                f"whose clients need the new {credentials.server_authority.name}"
            )
        file, keys = directory / CONTROL_PLANE_FILE, credentials.sealing_keys
        if file.exists() and not keys.exists():
            raise StoreError(
                f"{keys} is missing, with which secrets in {file} are stored: put it back. If it is lost, "
                f"'perdure admin sealing-keys {keys}' makes another: second factors and secrets have to be set up anew."
            )
        sealing_keys.make(keys, runtime)
        sealer = sealing_keys.read(keys, runtime)
        make_private(file)
        database = await ControlDatabase.open(f"sqlite:///{file}", migrate=True)
        return cls(secure, credentials, runtime, database, sealer)

    def connect(
        self,
        namespaces: Namespaces,
        nexus: NexusEndpoints,
        reclaimer: NamespaceReclaimer,
        endpoints: Callable[[], NamespaceEndpoints],
        usage: UsageStore,
        archival: Archival = NOT_ARCHIVED,
    ) -> None:
        self._deletion = NamespaceDeletion(self._runtime, namespaces, reclaimer, nexus.store)
        self._data_plane = SharedNamespaces(namespaces, self._deletion, nexus, archival)
        # Whoever has started the server is the only one who reads this.
        mailer = PrintedMailer(sys.stderr.write)
        secure = self._secure
        self._control_plane = ControlPlane(
            self._runtime,
            self._access,
            self._data_plane,
            self._news,
            endpoints,
            usage,
            self._sealer,
            audit=AuditOptions(directory=secure.audit_directory),
            calls=GuardedCalls(AllowedAddresses(secure.outgoing_networks), authority=secure.outgoing_authority),
            mailer=mailer,
        )

    def services(self) -> list[Service]:
        """What is offered besides the data plane."""
        assert self._control_plane is not None
        return self._control_plane.services()

    def http_server(
        self, pages: Mapping[str, Callable[[], Page]], services: Sequence[Service], data_plane: Sequence[Service]
    ) -> AsgiServer:
        """For the HTTP port, with these pages too. `services` are those of `services()` as the gateway receives them.

        Raises:
            OSError: the certificate cannot be read.
        """
        assert self._control_plane is not None
        return control_plane_server(
            services, self._access, pages, self._control_plane.mounts, self.tls.context(), data_plane
        )

    async def check(self, namespaces: Sequence[Namespace]) -> None:
        """Raises StartFailed: these are not of accounts that are known here."""
        accounts: list[str] = []
        async with self._database.reading() as transaction:
            while page := await transaction.of_kind(kinds.ACCOUNT, accounts[-1] if accounts else "", _AT_ONCE):
                accounts += [row.id for row in page]
        belonging.check_secure(namespaces, accounts, self._secure.directory)

    def limits_of(self, namespace: str, otherwise: NamespaceLimits) -> NamespaceLimits:
        return self._access.limits_of(namespace, otherwise)

    async def start(self) -> None:
        """Raises StoreError: the database cannot be used."""
        assert self._control_plane is not None
        await self._access.start()
        self._control_plane.start()
        if not self.credentials.namespace.exists():
            await self._found(self._control_plane)
            return
        # The data plane may be another one than last time, or one that keeps nothing.
        assert self._data_plane is not None
        await reconcile(self._database, self._data_plane)

    async def _found(self, control_plane: ControlPlane) -> None:
        """An account, its owner's API key, and a namespace. If this ends half-way the next start begins anew."""
        authority = first_authority(_now(self._runtime))
        founded = await found(self._database, self._runtime, self._access.policy, OWNER)
        token = await give_key(
            self._database, self._runtime, self._access.policy, founded.owner, "first key", _KEY_LIFETIME_NS
        )
        created = await control_plane.call(
            "CreateNamespace", CreateNamespaceRequest(spec=first_namespace(authority)), token
        )
        asked = GetAsyncOperationRequest(async_operation_id=created.async_operation.id)
        while True:
            operation = (await control_plane.call("GetAsyncOperation", asked, token)).async_operation
            if operation.state == AsyncOperation.STATE_FULFILLED:
                break
            if operation.failure_reason:
                raise StoreError(f"the first namespace could not be made: {operation.failure_reason}")
            await asyncio.sleep(_LOOK_S)
        self.credentials.keep(authority, token, created.namespace, _now(self._runtime))
        # Whoever reads that the server is ready may come at once.
        await self._access.watch.look()

    async def stop(self) -> None:
        if self._control_plane is not None:
            await self._control_plane.stop()
        if self._deletion is not None:
            await self._deletion.stop()
        await self._access.stop()
        await self._database.aclose()


def _now(runtime: Runtime) -> datetime:
    return datetime.fromtimestamp(runtime.clock.now_ns() // SECOND_NS, UTC)
