"""The control-plane role: CloudService, and what carries its operations on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import Message

from perdure.api.audit.export import AuditExporter
from perdure.api.audit.keeping import KEPT_DAYS, AuditKeeper
from perdure.api.audit.sinks.addresses import AllowedAddresses
from perdure.api.audit.sinks.calls import GuardedCalls
from perdure.api.audit.sinks.making import SinkMaker
from perdure.api.data_plane import DataPlane
from perdure.api.operations import OperationRunner
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.namespace_steps import FAILED_STATES, STEPS
from perdure.api.resources.regions import LOCAL, RegionOfCloud
from perdure.api.service import CLOUD_SERVICE, CloudService
from perdure.api.usage import reports
from perdure.api.usage.floating import FloatingLimits
from perdure.frontend.limits.overload import Rank
from perdure.frontend.services import ServedMethod, Service
from perdure.infra.tenancy.access import Access
from perdure.kernel.identity import Caller, KnownCaller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.news import News
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.runtime import Runtime


class AuditOptions(NamedTuple):
    """For how many days the audit log is kept; where sinks may be besides public addresses, as networks; whose
    certificates they may have besides those that the system trusts; where files are exported to, if that is offered.
    """

    days: int = KEPT_DAYS
    networks: tuple[str, ...] = ()
    authority: Path | None = None
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
        limits: ControlLimits | None = None,
        regions: Sequence[RegionOfCloud] = (LOCAL,),
        connections: Mapping[str, Sequence[str]] | None = None,
        audit: AuditOptions = _AUDIT,
    ) -> None:
        """`connections` are private ones, with their networks.

        Raises:
            PolicyError: an RPC is missing from the table.
            MissingMethod: an RPC has no handler.
            OSError: the file of authorities cannot be read.
        """
        access.policy.verify([CLOUD_SERVICE])
        self._runner = OperationRunner(
            access.database,
            data_plane,
            runtime,
            news,
            {**STEPS, **reports.steps(access.database, usage)},
            FAILED_STATES,
        )
        self._audit = AuditKeeper(access.database, runtime.clock, audit.days)
        calls = GuardedCalls(AllowedAddresses(audit.networks), authority=audit.authority)
        self.sinks = SinkMaker(calls, runtime.clock, audit.directory)
        self._exporter = AuditExporter(access.database, self.sinks, runtime.clock)
        self._floating = FloatingLimits(access.database, usage, runtime.clock, news)
        self.downloads = reports.BillingDownloads(access.database, runtime.clock)
        self._cloud = CloudService(
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
        )

    def services(self) -> list[Service]:
        methods = {
            method.name: ServedMethod(method, _patient(self._cloud.endpoint(method)), Rank.CHANGE)
            for method in CLOUD_SERVICE.methods
        }
        return [Service(CLOUD_SERVICE, methods)]

    async def call(self, rpc: str, request: Any, token: str) -> Any:
        """Serve a call of this process itself, with an API key."""
        return await self.serve(rpc, request, KnownCaller({"authorization": f"Bearer {token}"}))

    async def serve(self, rpc: str, request: Any, caller: Caller) -> Any:
        """Serve a decoded call of anybody."""
        return await self._cloud.endpoint(CLOUD_SERVICE.methods_by_name[rpc])(request, caller)

    def start(self) -> None:
        self._runner.start()
        self._audit.start()
        self._exporter.start()
        self._floating.start()

    async def stop(self) -> None:
        await self._runner.stop()
        await self._audit.stop()
        await self._exporter.stop()
        await self._floating.stop()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        parts = (self._runner, self._audit, self._exporter, self._floating)
        return [task for part in parts for task in part.background]


def _patient(serve: Callable[[Any, Caller], Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
    """An endpoint of the gateway's that does not ask how long its client waits."""

    async def endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        return await serve(request, caller)

    return endpoint
