"""The control-plane role: CloudService, IdentityService, and what carries on what they are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from perdure.api.data_plane import DataPlane
from perdure.api.operations import OperationRunner
from perdure.api.people import registry as identity
from perdure.api.people.outbox import Outbox
from perdure.api.people.passwords import Passwords
from perdure.api.people.people import People
from perdure.api.people.upkeep import Upkeep
from perdure.api.resources import registry as cloud
from perdure.api.resources.endpoints import NamespaceEndpoints
from perdure.api.resources.namespace_steps import FAILED_STATES, STEPS
from perdure.api.resources.regions import LOCAL, RegionOfCloud
from perdure.api.service import CLOUD_SERVICE, IDENTITY_SERVICE, ControlEndpoint, ControlParts, ControlService
from perdure.frontend.limits.overload import Rank
from perdure.frontend.services import ServedMethod, Service
from perdure.infra.mail import NoMailer
from perdure.infra.tenancy.access import Access
from perdure.kernel.identity import Caller, KnownCaller
from perdure.kernel.limits import ControlLimits
from perdure.kernel.mailer import Mailer
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
        mailer: Mailer | None = None,
        people: People | None = None,
    ) -> None:
        """Raises PolicyError: an RPC is missing from the table."""
        access.policy.verify([CLOUD_SERVICE, IDENTITY_SERVICE])
        self._runner = OperationRunner(access.database, data_plane, runtime.clock, news, STEPS, FAILED_STATES)
        self._people = people or People(Passwords(runtime.entropy))
        self._upkeep = Upkeep(access.database, runtime.clock, self._people.sessions)
        self.outbox = Outbox(mailer or NoMailer())
        parts = ControlParts(
            runtime,
            access.database,
            access.guard,
            access.policy,
            news,
            limits=limits or ControlLimits(),
            regions=regions,
            endpoints=endpoints,
            deferred=self._runner.look,
            people=self._people,
            outbox=self.outbox,
        )
        self._services = {
            CLOUD_SERVICE: ControlService(cloud.METHODS, parts),
            IDENTITY_SERVICE: ControlService(identity.METHODS, parts),
        }

    def services(self) -> list[Service]:
        return [_served(descriptor, service) for descriptor, service in self._services.items()]

    async def call(self, rpc: str, request: Any, token: str) -> Any:
        """Serve a call of CloudService by this process itself, with an API key."""
        caller = KnownCaller({"authorization": f"Bearer {token}"})
        return await self.endpoint(CLOUD_SERVICE.methods_by_name[rpc])(request, caller)

    def endpoint(self, method: MethodDescriptor) -> ControlEndpoint:
        """What serves this RPC of any of the services."""
        return self._services[method.containing_service].endpoint(method)

    def start(self) -> None:
        self._runner.start()
        self._upkeep.start()
        self.outbox.start()

    async def stop(self) -> None:
        await self._runner.stop()
        await self._upkeep.stop()
        await self.outbox.stop()
        self._people.passwords.close()

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [*self._runner.background, *self._upkeep.background, *self.outbox.background]


def _served(descriptor: ServiceDescriptor, service: ControlService) -> Service:
    methods = {
        method.name: ServedMethod(method, _patient(service.endpoint(method)), Rank.CHANGE)
        for method in descriptor.methods
    }
    return Service(descriptor, methods)


def _patient(serve: Callable[[Any, Caller], Awaitable[Message]]) -> Callable[..., Awaitable[Message]]:
    """An endpoint of the gateway's that does not ask how long its client waits."""

    async def endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        return await serve(request, caller)

    return endpoint
