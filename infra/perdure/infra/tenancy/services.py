"""What the control plane serves: its services with their handlers, and applications beside them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message

from perdure.api.calls import Method
from perdure.api.extensions import registry as extensions
from perdure.api.federation import oauth
from perdure.api.federation import registry as federation
from perdure.api.pages.application import PATHS, pages
from perdure.api.people import registry as identity
from perdure.api.resources import registry as cloud
from perdure.api.scim import application as scim
from perdure.api.scim import registry as routes
from perdure.api.scim import tokens as provisioning
from perdure.api.service import ControlEndpoint, ControlParts, ControlService
from perdure.api.services import (
    CLOUD_SERVICE,
    EXTENSION_SERVICE,
    FEDERATION_SERVICE,
    IDENTITY_SERVICE,
    PROVISIONING_SERVICE,
    SCIM_SERVICE,
    SIGN_ON_SERVICE,
)
from perdure.api.sign_on import registry as sign_on
from perdure.frontend.limits.overload import Rank
from perdure.frontend.services import ServedMethod, Service
from perdure.kernel.identity import Caller

#: Handlers of all services whose RPCs are served as such.
METHODS: Mapping[ServiceDescriptor, Mapping[str, Method]] = {
    CLOUD_SERVICE: cloud.METHODS,
    EXTENSION_SERVICE: extensions.METHODS,
    IDENTITY_SERVICE: identity.METHODS,
    FEDERATION_SERVICE: federation.METHODS,
    PROVISIONING_SERVICE: provisioning.METHODS,
    SIGN_ON_SERVICE: sign_on.METHODS,
}


def applications(parts: ControlParts, endpoint: Callable[[MethodDescriptor], ControlEndpoint]) -> Mapping[str, Any]:
    """What is served over HTTP besides RPCs: pages, and protocols that are not ours, by their paths.

    Raises:
        MissingMethod: one has a route that leads nowhere.
    """
    guard, clock = parts.guard, parts.runtime.clock
    identify = provisioning.ProvisioningTokens(parts.database, clock, parts.rates, guard.address_of).identify
    service = ControlService(SCIM_SERVICE, routes.METHODS, parts, identify)
    exchange = endpoint(FEDERATION_SERVICE.methods_by_name["ExchangeToken"])
    shown = pages(endpoint, parts.runtime.entropy, lambda: parts.endpoints().pages.startswith("https://"))
    return {
        **dict.fromkeys(PATHS, shown),
        scim.PATH: scim.ScimApplication(SCIM_SERVICE, service.endpoint, identify, lambda: parts.endpoints().web),
        oauth.PATH: oauth.TokenEndpoint(exchange, clock),
    }


def served(descriptor: ServiceDescriptor, service: ControlService) -> Service:
    """For the gateway's transports."""
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
