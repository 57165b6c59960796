"""The gRPC front: generic method handlers over the pipeline, health, reflection, and a graceful end.

The only module that sees a grpc context. Another front would do the same three things: decode, await the endpoint,
translate what it raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast
from urllib.parse import unquote

import grpc
import grpc.aio
import structlog
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from perdure.frontend.limits import OverLimit
from perdure.frontend.limits.namespaces import NO_NAMESPACE
from perdure.frontend.limits.overload import (
    HELD_MAX,
    HELD_OVER_LIMIT_S_MAX,
    HELD_S_MAX,
    LIMIT,
    Admission,
    Damper,
)
from perdure.frontend.metrics import CallMetrics, GatewayMetrics
from perdure.frontend.pipeline import Endpoint
from perdure.frontend.probe import Probe
from perdure.frontend.routes import Wait
from perdure.frontend.services import ServedMethod, Service
from perdure.frontend.status import translate
from perdure.frontend.tls import ServerTls
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import Internal, InvalidArgument, ServiceError, Unavailable
from perdure.kernel.identity import Caller
from perdure.kernel.masking import service_error
from perdure.kernel.serving import about, serving
from perdure.kernel.tracing import SpanKind, Tracer
from perdure.kernel.transport import trace_context

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

_log = structlog.get_logger("perdure.frontend")

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
        self._is_namespace = is_namespace
        self._clock = clock
        self._admission = Admission(metrics)
        self._probe = Probe(self._admission)
        self._overload_damper = Damper(HELD_S_MAX)
        self._limit_damper = Damper(HELD_OVER_LIMIT_S_MAX, lets_go=True)
        self._draining = False
        #: Tasks of calls that only wait for something to happen: they are broken off when the server stops.
        self._waiting: set[asyncio.Task[Any]] = set()
        #: Refusals that wait for their turn.
        self._held: set[asyncio.Future[None]] = set()
        # Set at import time, which not all stubs see.
        self._health = cast(Any, health).aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        self._names = [service.descriptor.full_name for service in services]
        for service in services:
            methods = {name: self._method(served, tracer) for name, served in service.methods.items()}
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
        self._probe.aim(f"{_LOOPBACK.get(host, host)}:{own}")
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
        self._drain()
        await self._health.enter_graceful_shutdown()
        for task in list(self._waiting):
            task.cancel()

    async def stop(self, grace_s: float) -> None:
        """Refuse new calls, and wait at most `grace_s` seconds for those in flight.

        The port stays open, and whoever calls is told to come back: when grpc's server stops, calls that it has
        received and not yet handed over end as CANCELLED, which clients do not repeat. A connection that ends with the
        process they take for what it is.
        """
        self._drain()
        loop = asyncio.get_running_loop()
        until_s = loop.time() + grace_s
        # Looked at now, rather than told by every call for as long as the server runs.
        while self._metrics.in_flight and loop.time() < until_s:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_S)
        # For the last answers to leave.
        await asyncio.sleep(_LOOK_S)
        await self._probe.stop()

    def _drain(self) -> None:
        self._draining = True
        for turn in list(self._held):
            _come(turn)

    async def close(self) -> None:
        """Break off whatever is left, and give up the port. For a process that goes on without this server."""
        await self._server.stop(0)

    def _method(self, served: ServedMethod, tracer: Tracer | None) -> grpc.RpcMethodHandler[Any, Any]:
        endpoint = served.endpoint
        if tracer is not None:
            endpoint = _traced(tracer, served.method.name, endpoint)
        if served.wait in (Wait.READ, Wait.QUERY):
            endpoint = self._until_drained(endpoint)
        return grpc.unary_unary_rpc_method_handler(
            self._responder(served, endpoint),
            # Decoded by the responder, which answers for what cannot be.
            request_deserializer=None,
            response_serializer=GetMessageClass(served.method.output_type).SerializeToString,
        )

    def _responder(
        self, served: ServedMethod, endpoint: Endpoint
    ) -> Callable[[bytes, _Context], Awaitable[Message | None]]:
        gateway, clock, admission = self._metrics, self._clock, self._admission
        method, rank = served.method, served.rank
        rpc, decode = method.name, _decoder(method)
        has_namespace = "namespace" in method.input_type.fields_by_name
        #: By namespace, of those that exist.
        known: dict[str, CallMetrics] = {}

        def counts(namespace: str) -> CallMetrics:
            found = known.get(namespace)
            if found is None:
                if not self._is_namespace(namespace):
                    return gateway.of(rpc)
                found = known[namespace] = gateway.of(rpc, namespace)
            return found

        probe = self._probe
        # What waits is not being worked on.
        is_work = served.wait is Wait.NONE

        async def respond(data: bytes, context: _Context) -> Message | None:
            started_ns = clock.now_ns()
            gateway.in_flight += 1
            working, namespace = False, ""
            try:
                if self._draining:
                    raise _stopping()
                probe.count()
                request = decode(data)
                if has_namespace:
                    namespace = request.namespace
                admission.check(rank, namespace if namespace in known else NO_NAMESPACE, started_ns)
                if is_work:
                    working = True
                    admission.begin()
                serving.set((rpc, request))
                caller = _GrpcCaller(context)
                trace_context.set(caller.metadata)
                return await endpoint(request, context.time_remaining(), caller)
            except OverLimit as error:
                if working:
                    working = False
                    admission.end()
                # It is held back without the frames that it has come through: thousands may be.
                error.__traceback__ = request = None
                await self._hold_back(context, error)
                return self._refuse(counts(namespace), context, error)
            except Exception as error:
                shown = service_error(error)
                if shown is None:
                    _log.exception("call failed", rpc=rpc)
                    shown = Internal("internal error")
                return self._refuse(counts(namespace), context, shown)
            finally:
                if working:
                    admission.end()
                gateway.in_flight -= 1
                counts(namespace).latency.observe((clock.now_ns() - started_ns) / SECOND_NS)

        return respond

    def _until_drained(self, endpoint: Endpoint) -> Endpoint:
        """Has a call broken off when the server stops, with an answer that makes clients ask again."""

        async def endpoint_until_drained(request: Any, remaining_s: float | None, caller: Caller) -> Message:
            task = asyncio.current_task()
            assert task is not None
            self._waiting.add(task)
            try:
                return await endpoint(request, remaining_s, caller)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                task.uncancel()
                raise _stopping() from None
            finally:
                self._waiting.discard(task)

        return endpoint_until_drained

    async def _hold_back(self, context: _Context, refusal: OverLimit) -> None:
        """Wait for the turn of a refusal; the client is to hear it before it gives up."""
        if len(self._held) >= HELD_MAX:
            return
        damper = self._overload_damper if refusal.limit == LIMIT else self._limit_damper
        delay_s = damper.delay_s(self._clock.now_ns())
        if (remaining_s := context.time_remaining()) is not None:
            delay_s = min(delay_s, remaining_s / 2)
        if delay_s <= 0 or self._draining:
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        timer = loop.call_later(delay_s, _come, turn)
        self._held.add(turn)
        try:
            await turn
        finally:
            timer.cancel()
            self._held.discard(turn)

    def _refuse(self, counts: CallMetrics, context: _Context, error: ServiceError) -> Message | None:
        """Set, and not raised by `abort`, which would make a refusal a third dearer."""
        status = translate(error)
        counts.failures[status.code.name] += 1
        context.set_code(status.code)
        context.set_details(status.message)
        context.set_trailing_metadata(status.metadata)
        return None


def _traced(tracer: Tracer, rpc: str, endpoint: Endpoint) -> Endpoint:
    """Has each call told to whoever collects traces, as the server's part of its client's trace."""

    async def traced_endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        with tracer.span(rpc, SpanKind.SERVER, {"rpc.system": "grpc", "rpc.method": rpc, **about(request)}):
            return await endpoint(request, remaining_s, caller)

    return traced_endpoint


def _come(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _stopping() -> Unavailable:
    return Unavailable("The server is shutting down.")


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
    """A call's text metadata, taken over from grpc only when somebody asks: few calls do, and it is not free."""

    __slots__ = ("_context", "_values")

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._values: dict[str, str] | None = None

    def _all(self) -> dict[str, str]:
        if self._values is None:
            metadata = self._context.invocation_metadata() or ()
            self._values = {key: str(value) for key, value in metadata if not key.endswith("-bin")}
        return self._values

    def __getitem__(self, key: str) -> str:
        return self._all()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())
