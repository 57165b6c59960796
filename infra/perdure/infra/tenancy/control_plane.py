"""The control-plane role: CloudService, and what carries its operations on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from google.protobuf.message import Message

from perdure.api.data_plane import DataPlane
from perdure.api.operations import OperationRunner
from perdure.api.purging import DeletedNamespaces
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.namespace_steps import FAILED_STATES, STEPS
from perdure.api.resources.regions import LOCAL, RegionOfCloud
from perdure.api.service import CLOUD_SERVICE, CloudService
from perdure.frontend.limits.overload import Rank
from perdure.frontend.services import ServedMethod, Service
from perdure.infra.tenancy.access import Access
from perdure.infra.tenancy.metrics import operation_samples
from perdure.kernel.identity import Caller, KnownCaller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.metrics import Sample
from perdure.kernel.news import News
from perdure.kernel.runtime import Runtime


class ControlPlane:
    """`start` and `stop` are each called once."""

    def __init__(
        self,
        runtime: Runtime,
        access: Access,
        data_plane: DataPlane,
        news: News,
        endpoints: Callable[[], NamespaceEndpoints],
        limits: ControlLimits | None = None,
        regions: Sequence[RegionOfCloud] = (LOCAL,),
    ) -> None:
        """Raises PolicyError: an RPC is missing from the table."""
        access.policy.verify([CLOUD_SERVICE])
        self._database = access.database
        self._data_plane = data_plane
        self._runner = OperationRunner(access.database, data_plane, runtime.clock, news, STEPS, FAILED_STATES)
        self._deleted = DeletedNamespaces(access.database, data_plane, runtime.clock)
        self._cloud = CloudService(
            runtime,
            access.database,
            access.guard,
            access.policy,
            news,
            limits=limits or ControlLimits(),
            regions=regions,
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
        caller = KnownCaller({"authorization": f"Bearer {token}"})
        return await self._cloud.endpoint(CLOUD_SERVICE.methods_by_name[rpc])(request, caller)

    def samples(self) -> Iterable[Sample]:
        """What this process counts of operations."""
        return operation_samples(self._runner)

    def start(self) -> None:
        self._runner.start()
        self._deleted.start()

    async def stop(self) -> None:
        await self._deleted.stop()
        await self._runner.stop()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [*self._runner.background, *self._deleted.background]


def _patient(serve: Callable[[Any, Caller], Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
    """An endpoint of the gateway's that does not ask how long its client waits."""

    async def endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        return await serve(request, caller)

    return endpoint
