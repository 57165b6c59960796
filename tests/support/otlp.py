"""A collector of traces that remembers what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

import grpc.aio
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


class Collected(NamedTuple):
    """A span and the roles of the process that it is from."""

    span: Span
    roles: frozenset[str]

    def attribute(self, name: str) -> str:
        return next((each.value.string_value for each in self.span.attributes if each.key == name), "")


class Collector:
    def __init__(self) -> None:
        self.endpoint = ""
        self.collected: list[Collected] = []
        self._arrived = asyncio.Condition()

    async def until(self, enough: Callable[[list[Collected]], bool], timeout_s: float = 30) -> list[Collected]:
        """Everything, once there is enough of it."""
        async with asyncio.timeout(timeout_s), self._arrived:
            await self._arrived.wait_for(lambda: enough(self.collected))
            return list(self.collected)

    async def export(self, request: ExportTraceServiceRequest, _: object) -> ExportTraceServiceResponse:
        for resource in request.resource_spans:
            (roles,) = [each.value for each in resource.resource.attributes if each.key == "perdure.roles"]
            names = frozenset(value.string_value for value in roles.array_value.values)
            for scope in resource.scope_spans:
                self.collected += [Collected(span, names) for span in scope.spans]
        async with self._arrived:
            self._arrived.notify_all()
        return ExportTraceServiceResponse()


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(
        collector.export, ExportTraceServiceRequest.FromString, ExportTraceServiceResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Export": handler}),))
    collector.endpoint = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield collector
    finally:
        await server.stop(0)
