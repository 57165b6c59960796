"""What a process needs that serves tenants: the control plane's database, and decisions from what it publishes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from perdure.api.audit.acts import ActWriter
from perdure.api.data import ControlDatabase
from perdure.api.data.access import PublishedAccess
from perdure.api.people.people import SessionLimits
from perdure.api.people.upkeep import RecordedUses
from perdure.auth.access.uses import CredentialUses, UseReporter
from perdure.auth.access.view import AccessView
from perdure.auth.access.watch import AccessWatch
from perdure.auth.guard import GatewayGuard
from perdure.auth.policy.decisions import Policy
from perdure.frontend.routes import SERVICES
from perdure.frontend.tls import Authorities
from perdure.kernel.ids import NamespaceName
from perdure.kernel.limits import NamespaceLimits
from perdure.kernel.news import News
from perdure.kernel.runtime import Runtime


class Access:
    """`start` and `stop` are each called once."""

    def __init__(
        self,
        runtime: Runtime,
        database: ControlDatabase,
        news: News,
        proxies: Iterable[str] = (),
        sessions: SessionLimits | None = None,
    ) -> None:
        """Raises PolicyError: an RPC is missing from the table."""
        self.database = database
        self.policy = Policy.load()
        self.policy.verify(service for service, _ in SERVICES)
        self.view = AccessView()
        self.watch = AccessWatch(PublishedAccess(database), self.view, news, runtime.clock)
        self.acts = ActWriter(database, runtime)
        uses = CredentialUses()
        self.guard = GatewayGuard(runtime.clock, self.view, self.watch, self.policy, proxies, uses)
        self.uses = UseReporter(uses, RecordedUses(database, sessions or SessionLimits()))

    def authorities(self) -> Authorities:
        """For TLS ports on which clients show certificates."""
        return Authorities(self.view.authorities_revision, self.view.authorities)

    def limits_of(self, namespace: str, otherwise: NamespaceLimits) -> NamespaceLimits:
        """What the namespace of this name may do; `otherwise` is for what its account has not been given."""
        access = self.view.namespaces.get(NamespaceName(namespace))
        return otherwise if access is None else otherwise.override(access.record.limits)

    async def start(self) -> None:
        """If the database cannot be read nobody is let in until it can."""
        await self.watch.start()
        self.acts.start()
        self.uses.start()

    async def stop(self) -> None:
        await self.acts.stop()
        await self.uses.stop()
        await self.watch.stop()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [*self.watch.background, *self.acts.background, *self.uses.background]
