"""The services that a server offers, each method with what answers it. Which transport they are offered on is open."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from perdure.frontend.limits.overload import Rank, rank_of
from perdure.frontend.pipeline import Endpoint, Pipeline
from perdure.frontend.routes import SERVICES, Wait, verify


class ServedMethod(NamedTuple):
    """`rank` tells who is refused first under overload."""

    method: MethodDescriptor
    endpoint: Endpoint
    rank: Rank
    wait: Wait = Wait.NONE


class Service(NamedTuple):
    descriptor: ServiceDescriptor
    methods: Mapping[str, ServedMethod]


def data_plane(pipeline: Pipeline) -> list[Service]:
    """Raises RouteTableError: a method has no route."""
    return [
        Service(
            service,
            {
                method.name: ServedMethod(method, pipeline.endpoint(method, route), rank_of(route), route.wait)
                for method, route in verify(service, routes)
            },
        )
        for service, routes in SERVICES
    ]
