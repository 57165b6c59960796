"""The gRPC front: generic method handlers over the reception, health, reflection, and a graceful end.

The only module that sees a grpc context. Any other front does the same three things: decode, await what the reception
makes of an endpoint, translate what it raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.pipeline import Endpoint
from perdure.frontend.reception import Reception
from perdure.frontend.services import ServedMethod, Service
from perdure.frontend.status import translate
from perdure.frontend.tls import ServerTls
from perdure.kernel.clock import Clock
from perdure.kernel.errors import InvalidArgument, ServiceError
from perdure.kernel.tracing import Tracer

#: One message that a client may send; payload limits are below it, so that they answer with their own names.
REQUEST_BYTES_MAX = 4 * 1024 * 1024
#: SDKs ping every 30 s also when idle. Less than this apart is a defect of the client.
PING_INTERVAL_MS_MIN = 5_000

#: Calls that have arrived and that nobody has looked at.
PENDING_MAX = 20_000

#: Where a server is reached that listens on all addresses.
_OWN_ADDRESS = "127.0.0.1:0"
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}

_OPTIONS = (
    # Without this two servers could share a port, and "port in use" would never be noticed.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", REQUEST_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
    # What grpc itself drops ends as CANCELLED, which clients do not repeat: `limits.overload` is to refuse before.
    ("grpc.server.max_pending_requests", PENDING_MAX // 2),
    ("grpc.server.max_pending_requests_hard_limit", PENDING_MAX),
)

_Context = grpc.aio.ServicerContext[Any, Any]


#: How often a server that stops looks whether it has finished.
_LOOK_S = 0.02


class Ports(NamedTuple):
    """`mutual` is for clients that show certificates."""

    public: int
    mutual: int | None = None


class GrpcServer:
    """Offers services on one port, or on two with TLS."""

    def __init__(
        self,
        services: Sequence[Service],
        metrics: GatewayMetrics,
        clock: Clock,
        is_namespace: Callable[[str], bool],
        tracer: Tracer | None = None,
    ) -> None:
        """`is_namespace` says of a name whether a namespace is known by it: made-up names must not be counted by."""
        self._metrics = metrics
        #: For other transports of this process as well.
        self.reception = Reception(metrics, clock, is_namespace, tracer)
        # Set at import time, which not all stubs see.
        self._health = cast(Any, health).aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        self._names = [service.descriptor.full_name for service in services]
        for service in services:
            methods = {name: self._method(served) for name, served in service.methods.items()}
            handler = grpc.method_handlers_generic_handler(service.descriptor.full_name, methods)
            self._server.add_generic_rpc_handlers((handler,))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, cast(Any, _Unregistered(self._server)))
        names = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, cast(Any, _Unregistered(self._server)))

    async def start(self, address: str, tls: ServerTls | None = None, mutual_address: str = "") -> Ports:
        """Serve on `host:port` and say which port it is (port 0 means any). With `tls`, on `mutual_address` too, for
        clients that show certificates.

        Raises:
            OSError: an address cannot be had.
        """
        port = self._listen(address, tls.server() if tls else None)
        mutual = self._listen(mutual_address, tls.mutual()) if tls and mutual_address else None
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        own = port
        if tls:
            # The process would have to be sent the name that its certificate is for.
            address, own = _OWN_ADDRESS, self._listen(_OWN_ADDRESS, None)
        await self._server.start()
        host = address.rpartition(":")[0]
        self.reception.probe.aim(f"{_LOOPBACK.get(host, host)}:{own}")
        return Ports(port, mutual)

    def _listen(self, address: str, credentials: grpc.ServerCredentials | None) -> int:
        try:
            if credentials is None:
                return self._server.add_insecure_port(address)
            return self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: is the port in use?") from error

    async def drain(self) -> None:
        """Refuse new calls, and break off those that only wait. Task polls that are held are left to matching."""
        self.reception.drain()
        await self._health.enter_graceful_shutdown()
        self.reception.break_off()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and wait at most `grace_s` seconds for those in flight.

        The port stays open, and whoever calls is told to come back: when grpc's server stops, calls that it has
        received and not yet handed over end as CANCELLED, which clients do not repeat. A connection that ends with the
        process they take for what it is.
        """
        self.reception.drain()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + grace_s
        # Looked at now, rather than told by every call for as long as the server runs.
        while self._metrics.in_flight and loop.time() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        # For the last answers to leave.
        await asyncio.sleep(_LOOK_S)
        await self.reception.probe.stop()

    async def close(self) -> None:
        """Break off whatever is left, and give up the port. For a process that goes on without this server."""
        await self._server.stop(0)

    def _method(self, served: ServedMethod) -> grpc.RpcMethodHandler[Any, Any]:
        return grpc.unary_unary_rpc_method_handler(
            # Decoded by the reception, which answers for what cannot be.
            _responder(self.reception.endpoint(served, "grpc", _decoder(served.method))),
            request_deserializer=None,
            response_serializer=GetMessageClass(served.method.output_type).SerializeToString,
        )


def _responder(serve: Endpoint) -> Callable[[bytes, _Context], Awaitable[Message | None]]:
    async def respond(data: bytes, context: _Context) -> Message | None:
        try:
            return await serve(data, context.time_remaining(), _GrpcCaller(context))
        except ServiceError as error:
            _refuse(context, error)
            return None

    return respond


def _refuse(context: _Context, error: ServiceError) -> None:
    """Set, and not raised by `abort`, which would make a refusal a third dearer."""
    status = translate(error)
    context.set_code(status.code)
    context.set_details(status.message)
    context.set_trailing_metadata(status.metadata)


def _decoder(method: MethodDescriptor) -> Callable[[bytes], Any]:
    decode = GetMessageClass(method.input_type).FromString

    def decode_or_refuse(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:
            # grpc would answer INTERNAL for what is the caller's mistake.
            raise InvalidArgument(f"The request is not a valid message of {method.name}.") from None

    return decode_or_refuse


class _Unregistered:
    """A server that takes handlers by name only.

    For every method that is registered, grpc.aio waits with a task of its own, and looks at all of them on each call.
    Generated code registers its methods besides naming them.
    """

    def __init__(self, server: grpc.aio.Server) -> None:
        self.add_generic_rpc_handlers = server.add_generic_rpc_handlers

    def add_registered_method_handlers(self, service_name: str, method_handlers: object) -> None:
        """The generic handlers have them."""


class _GrpcCaller:
    """A `Caller`. What is to be known of him is asked of grpc only when somebody wants to know."""

    __slots__ = ("_context", "metadata")

    def __init__(self, context: _Context) -> None:
        self._context = context
        self.metadata = _TextMetadata(context)

    @property
    def address(self) -> str:
        """From grpc's `ipv4:127.0.0.1:50000` or `ipv6:[::1]:50000`, which may be percent-encoded."""
        kind, _, place = unquote(self._context.peer()).partition(":")
        return place.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""

    @property
    def certificates(self) -> str:
        shown = self._context.auth_context()
        # What leads from the certificate to an authority comes without the certificate itself.
        parts = [*shown.get("x509_pem_cert", ()), *shown.get("x509_pem_cert_chain", ())]
        return b"".join(parts).decode("ascii", "replace")


class _TextMetadata(Mapping[str, str]):
    """A call's text metadata, taken over from grpc only when somebody asks: few calls do, and it is not free. If one
    key says several things they are joined by commas, as over HTTP: none of them is to be believed alone.
    """

    __slots__ = ("_context", "_values")

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._values: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._values is None:
            values: dict[str, str] = {}
            for key, value in self._context.invocation_metadata() or ():
                if key.endswith("-bin"):
                    continue
                text = str(value)
                values[key] = text if values.get(key, text) == text else f"{values[key]},{text}"
            self._values = values
        return self._values

    def __getitem__(self, key: str) -> str:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
