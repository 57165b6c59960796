"""The serving side of the internal transport: handlers by path, over one gRPC stream per calling process."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, cast

import grpc
import grpc.aio
import msgspec
import structlog
from grpc_health.v1 import health, health_pb2

from perdure.infra.rpc.dispatch import Dispatcher
from perdure.infra.rpc.frames import (
    LINK_PATH,
    MESSAGE_BYTES_MAX,
    Call,
    FromCaller,
    FromServer,
    Goodbye,
    Hello,
    Refused,
    decode_from_caller,
    encode,
)
from perdure.infra.rpc.outbox import Outbox
from perdure.infra.rpc.tls import TlsFiles
from perdure.kernel.transport import Handler

_OPTIONS = (
    # Without this two servers could share a port, and "port in use" would never be noticed.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # Callers ping often, to notice a peer that has gone silent.
    ("grpc.http2.min_ping_interval_without_data_ms", 100),
    ("grpc.http2.max_ping_strikes", 0),
    # And this side does, so that it does not go on working for callers that are gone.
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
)

_log = structlog.get_logger("perdure.rpc")

_Context = grpc.aio.ServicerContext[bytes, bytes]


class InternalServer:
    """Serves the handlers on one port, and `grpc.health.v1.Health` besides them.

    Calls of the paths in `interruptible` only wait for something: a server that drains breaks them off, so that their
    callers ask elsewhere.
    """

    def __init__(
        self, handlers: Mapping[str, Handler], *, interruptible: Collection[str] = (), tls: TlsFiles | None = None
    ) -> None:
        self._dispatcher = Dispatcher(handlers)
        self._interruptible = frozenset(interruptible)
        self._tls = tls
        self._draining = False
        self._links: set[_Link] = set()
        self._no_links = asyncio.Event()
        self._no_links.set()
        # Set at import time, which not all stubs see.
        self._health = cast(Any, health).aio.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        service, method = LINK_PATH.strip("/").split("/")
        methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            method: grpc.stream_stream_rpc_method_handler(cast(Any, self._serve))
        }
        for name, handlers_of in ((service, methods), (health.SERVICE_NAME, _health_methods(self._health))):
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers_of),))

    async def start(self, address: str) -> int:
        """Serve on `host:port` and say which port it is (port 0 means any).

        Raises:
            OSError: the address cannot be had, or a TLS file cannot be read.
        """
        try:
            if self._tls is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._tls.server())
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: is the port in use?") from error
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()
        return port

    async def drain(self) -> None:
        """Refuse new calls and break off those that only wait; the others go on."""
        self._draining = True
        await self._health.enter_graceful_shutdown()
        for link in self._links:
            link.drain()

    async def stop(self, grace_s: float) -> None:
        """Drain, let calls in flight finish for `grace_s` seconds, then break them off."""
        await self.drain()
        # A caller closes its stream when it has heard the goodbye and has all its answers. Until then its calls are
        # refused, so that it knows of each one whether it was served.
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._no_links.wait()
        await self._server.stop(0)

    async def _serve(self, _: object, context: _Context) -> None:
        link = _Link(self._dispatcher, self._interruptible)
        if self._draining:
            link.drain()
        self._links.add(link)
        self._no_links.clear()
        try:
            await link.serve(context)
        finally:
            self._links.discard(link)
            if not self._links:
                self._no_links.set()


class _Link:
    """One calling process."""

    def __init__(self, dispatcher: Dispatcher, interruptible: frozenset[str]) -> None:
        self._dispatcher = dispatcher
        self._interruptible = interruptible
        self._draining = False
        self._outbox: Outbox[FromServer] = Outbox()
        self._outbox.put(Hello())
        self._loop = asyncio.get_running_loop()
        #: Calls being served; one that nobody waits for any more is taken out before its task is cancelled.
        self._serving: dict[int, asyncio.Task[None]] = {}
        self._waiting: set[int] = set()

    def drain(self) -> None:
        self._draining = True
        for call_id in list(self._waiting):
            self._cancel(call_id)
            self._outbox.put(Refused(call_id))
        self._outbox.put(Goodbye())

    async def serve(self, context: _Context) -> None:
        """Until the caller closes the stream, or it breaks."""
        writing = self._loop.create_task(self._write(context))
        try:
            understood = await self._read(context)
            # grpc cannot end a stream on which something is being written.
            self._outbox.close()
            await writing
            if not understood:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "not a list of frames")
        finally:
            writing.cancel()
            for call_id in list(self._serving):
                self._cancel(call_id)

    async def _read(self, context: _Context) -> bool:
        """Whether the end came as it should."""
        try:
            while isinstance(message := await context.read(), bytes):
                for frame in decode_from_caller(message):
                    self._receive(frame)
                await self._outbox.room()
        except msgspec.DecodeError as error:
            _log.error("peer does not speak our protocol", peer=context.peer(), error=str(error))
            return False
        return True

    def _receive(self, frame: FromCaller) -> None:
        if not isinstance(frame, Call):
            self._cancel(frame.id)
        elif self._draining:
            self._outbox.put(Refused(frame.id))
        else:
            if frame.path in self._interruptible:
                self._waiting.add(frame.id)
            self._serving[frame.id] = self._loop.create_task(self._answer(frame))

    def _cancel(self, call_id: int) -> None:
        self._waiting.discard(call_id)
        task = self._serving.pop(call_id, None)
        if task is not None:
            task.cancel()

    async def _answer(self, call: Call) -> None:
        answer = await self._dispatcher.answer(call)
        if self._serving.pop(call.id, None) is not None:
            self._waiting.discard(call.id)
            self._outbox.put(answer)

    async def _write(self, context: _Context) -> None:
        # A stream that breaks ends `serve`, which cancels this.
        with suppress(grpc.aio.AbortError, grpc.aio.InternalError, grpc.aio.UsageError, asyncio.InvalidStateError):
            while frames := await self._outbox.take():
                await context.write(encode(frames))


def _health_methods(servicer: Any) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    """By name only: grpc.aio waits for every registered method with a task of its own."""
    decode = health_pb2.HealthCheckRequest.FromString
    encode_response = health_pb2.HealthCheckResponse.SerializeToString
    return {
        "Check": grpc.unary_unary_rpc_method_handler(servicer.Check, decode, encode_response),
        "Watch": grpc.unary_stream_rpc_method_handler(servicer.Watch, decode, encode_response),
    }
