"""The control-plane role: CloudService, IdentityService, and what carries on what they are asked for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor

from perdure.api.audit.export import AuditExporter
from perdure.api.audit.keeping import KEPT_DAYS
from perdure.api.audit.sinks.making import SinkMaker
from perdure.api.data_plane import DataPlane
from perdure.api.federation.federation import FETCH_S, Federation
from perdure.api.operations import OperationRunner
from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.outgoing.fetching import fetch_by
from perdure.api.people.events import Observer, SignInEvent
from perdure.api.people.failures import FailedSignIns
from perdure.api.people.outbox import Outbox
from perdure.api.people.passwords import Passwords
from perdure.api.people.people import People
from perdure.api.resources import billing_reports, nexus_steps
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.namespace_steps import FAILED_STATES, STEPS
from perdure.api.resources.regions import LOCAL, RegionOfCloud
from perdure.api.sealing import Sealer
from perdure.api.service import ControlEndpoint, ControlParts, ControlService
from perdure.api.services import CLOUD_SERVICE, SCIM_SERVICE
from perdure.api.sign_on import addresses as sign_on_addresses
from perdure.api.sign_on.site import SignOnSite
from perdure.api.usage import reports
from perdure.auth.oidc.issuers import Fetch
from perdure.frontend.services import Service
from perdure.infra.mail import NoMailer
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.chores import chores
from perdure.infra.tenancy.metrics import control_samples
from perdure.infra.tenancy.services import METHODS, applications, served
from perdure.kernel.identity import KnownCaller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.mailer import Mailer
from perdure.kernel.metrics import Sample
from perdure.kernel.news import News
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime


class AuditOptions(NamedTuple):
    """For how many days the audit log is kept; where files of it are exported to, if that is offered."""

    days: int = KEPT_DAYS
    directory: Path | None = None


_AUDIT = AuditOptions()


class ControlPlane:
    """`start` and `stop` are each called once."""

    def __init__(
        self,
        runtime: Runtime,
        access: Access,
        data_plane: DataPlane,
        news: News,
        endpoints: Callable[[], NamespaceEndpoints],
        usage: UsageStore,
        sealer: Sealer,
        limits: ControlLimits | None = None,
        regions: Sequence[RegionOfCloud] = (LOCAL,),
        connections: Mapping[str, Sequence[str]] | None = None,
        audit: AuditOptions = _AUDIT,
        calls: GuardedCalls | None = None,
        mailer: Mailer | None = None,
        people: People | None = None,
        fetch: Fetch | None = None,
    ) -> None:
        """`connections` are private ones, with their networks. `calls` is closed with the control plane. `fetch` is for
        documents of issuers, instead of `calls`.

        Raises:
            PolicyError: an RPC is missing from the table.
            MissingMethod: an RPC has no handler.
        """
        access.policy.verify([*METHODS, SCIM_SERVICE])
        self._database = access.database
        self._data_plane = data_plane
        steps = {**STEPS, **nexus_steps.STEPS, **reports.steps(access.database, usage)}
        self._runner = OperationRunner(
            access.database, data_plane, runtime, news, steps, {**FAILED_STATES, **nexus_steps.FAILED_STATES}
        )
        self.calls = calls = calls or GuardedCalls(AllowedAddresses())
        self.sinks = SinkMaker(calls, runtime.clock, sealer, audit.directory)
        self._exporter = AuditExporter(access.database, self.sinks, runtime.clock)
        self.downloads = reports.BillingDownloads(access.database, runtime.clock)
        self._failures = FailedSignIns(access.database, runtime.entropy)
        self._people = _also_told(people or People(Passwords(runtime.entropy)), self._failures.note)
        self.outbox = Outbox(mailer or NoMailer())
        parts = ControlParts(
            runtime,
            access.database,
            access.guard,
            access.policy,
            news,
            limits=limits or ControlLimits(),
            regions=regions,
            connections=connections or {},
            usage=usage,
            endpoints=endpoints,
            deferred=self._runner.look,
            people=self._people,
            outbox=self.outbox,
            federation=Federation(runtime, fetch or fetch_by(calls, FETCH_S)),
            sealer=sealer,
            sinks=self.sinks,
        )
        self._refusals = parts.refusals
        self._sign_on = SignOnSite(parts, calls)
        self._chores = chores(parts, data_plane, self._exporter, self._failures, audit.days)
        self._services = {service: ControlService(service, methods, parts) for service, methods in METHODS.items()}
        #: What is served over HTTP besides RPCs, by its path.
        self.mounts: Mapping[str, Any] = {
            billing_reports.PATH: self.downloads,
            sign_on_addresses.PATH: self._sign_on.application,
            **applications(parts, self.endpoint),
        }

    def services(self) -> list[Service]:
        return [served(descriptor, service) for descriptor, service in self._services.items()]

    async def call(self, rpc: str, request: Any, token: str) -> Any:
        """Serve a call of CloudService by this process itself, with an API key."""
        caller = KnownCaller({"authorization": f"Bearer {token}"})
        return await self.endpoint(CLOUD_SERVICE.methods_by_name[rpc])(request, caller)

    def endpoint(self, method: MethodDescriptor) -> ControlEndpoint:
        """What serves this RPC of any of the services."""
        return self._services[method.containing_service].endpoint(method)

    def samples(self) -> Iterable[Sample]:
        """What this process counts of operations and refusals."""
        return control_samples(self._runner, self._refusals)

    def start(self) -> None:
        self._runner.start()
        for chore in self._chores:
            chore.start()
        self.outbox.start()

    async def stop(self) -> None:
        await self._runner.stop()
        await asyncio.gather(*(chore.stop() for chore in self._chores))
        await self._exporter.aclose()
        with contextlib.suppress(StoreError):
            await self._failures.write()
        await self.outbox.stop()
        self._people.passwords.close()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        chores = [task for chore in self._chores for task in chore.background]
        return [*self._runner.background, *chores, *self.outbox.background]


def _also_told(people: People, note: Observer) -> People:
    observe = people.observe

    def both(event: SignInEvent) -> None:
        observe(event)
        note(event)

    return replace(people, observe=both)
