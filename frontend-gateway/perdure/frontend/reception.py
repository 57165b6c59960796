"""What every call meets before and after the pipeline, whatever transport it came by: shedding of load, holding back of
refusals, the end of the process, and counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from google.protobuf.message import Message

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
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import Internal, PermissionDenied, Unauthenticated, Unavailable
from perdure.kernel.identity import Caller
from perdure.kernel.masking import service_error
from perdure.kernel.serving import about, serving
from perdure.kernel.status import code_of
from perdure.kernel.tracing import SpanKind, Tracer
from perdure.kernel.transport import trace_context

#: Of requests whose refusals are held back: grpc keeps their bytes until they are answered.
HELD_BYTES_MAX = 64 * 1024 * 1024

_log = structlog.get_logger("perdure.frontend")


class Reception:
    """Of one process, for all its transports."""

    def __init__(
        self,
        metrics: GatewayMetrics,
        clock: Clock,
        is_namespace: Callable[[str], bool],
        tracer: Tracer | None = None,
    ) -> None:
        """`is_namespace` says of a name whether a namespace is known by it: made-up names must not be counted by."""
        self._metrics = metrics
        self._is_namespace = is_namespace
        self._clock = clock
        self._tracer = tracer
        self._admission = Admission(metrics)
        self.probe = Probe(self._admission)
        self._overload_damper = Damper(HELD_S_MAX)
        self._limit_damper = Damper(HELD_OVER_LIMIT_S_MAX, lets_go=True)
        self._draining = False
        #: Tasks of calls that wait for something to happen: they are broken off when the server stops.
        self._waiting: set[asyncio.Task[Any]] = set()
        #: Refusals that wait for their turn.
        self._held: set[asyncio.Future[None]] = set()
        self._held_bytes = 0

    def services(self, services: Sequence[Service], system: str) -> list[Service]:
        """The same services, received, for a transport that decodes requests itself. Traces call it `system`."""
        return [
            Service(
                service.descriptor,
                {
                    name: served._replace(endpoint=self.endpoint(served, system))
                    for name, served in service.methods.items()
                },
            )
            for service in services
        ]

    def endpoint(self, served: ServedMethod, system: str, decode: Callable[[Any], Any] | None = None) -> Endpoint:
        """What serves this method. It raises `ServiceError` only.

        With `decode` it is given what that makes the request of, so that what cannot be decoded is a call as well.
        """
        gateway, clock, admission = self._metrics, self._clock, self._admission
        method, rank, endpoint = served.method, served.rank, self._inner(served, system)
        rpc = method.name
        has_namespace = "namespace" in method.input_type.fields_by_name
        counts = _Counts(gateway, rpc, self._is_namespace)
        probe = self.probe
        # What waits is not being worked on.
        is_work = served.wait is Wait.NONE

        async def receive(request: Any, remaining_s: float | None, caller: Caller) -> Message:
            started_ns = clock.now_ns()
            gateway.in_flight += 1
            working, namespace = False, ""
            size = len(request) if decode is not None else 0
            try:
                if self._draining:
                    raise _stopping()
                probe.count()
                if decode is not None:
                    request = decode(request)
                if has_namespace:
                    namespace = request.namespace
                admission.check(rank, namespace if namespace in counts.known else NO_NAMESPACE, started_ns)
                if is_work:
                    working = True
                    admission.begin()
                serving.set((rpc, request))
                trace_context.set(caller.metadata)
                return await endpoint(request, remaining_s, caller)
            except OverLimit as error:
                if working:
                    working = False
                    admission.end()
                # It is held back without what was decoded and the frames that it has come through: thousands may be.
                error.__traceback__ = request = None
                serving.set(None)
                if remaining_s is not None:
                    remaining_s -= (clock.now_ns() - started_ns) / SECOND_NS
                await self._hold_back(error, size, remaining_s)
                counts.of(namespace).failures[code_of(error).name] += 1
                raise
            except Exception as error:
                shown = service_error(error)
                if shown is None:
                    _log.exception("call failed", rpc=rpc)
                    shown = Internal("internal error")
                counts.of(namespace).failures[code_of(shown).name] += 1
                if isinstance(shown, Unauthenticated | PermissionDenied):
                    admission.disown(namespace)
                if shown is error:
                    raise
                raise shown from error
            finally:
                if working:
                    admission.end()
                gateway.in_flight -= 1
                counts.of(namespace).latency.observe((clock.now_ns() - started_ns) / SECOND_NS)

        return receive

    def drain(self) -> None:
        """Refuse new calls."""
        self._draining = True
        for turn in list(self._held):
            _come(turn)

    def break_off(self) -> None:
        """End calls that wait for something to happen, with an answer that makes clients ask again."""
        for task in list(self._waiting):
            task.cancel()

    def _inner(self, served: ServedMethod, system: str) -> Endpoint:
        endpoint = served.endpoint
        if self._tracer is not None:
            endpoint = _traced(self._tracer, system, served.method.name, endpoint)
        if served.wait in (Wait.READ, Wait.QUERY):
            endpoint = self._until_drained(endpoint)
        return endpoint

    def _until_drained(self, endpoint: Endpoint) -> Endpoint:
        """Has a call broken off when the server stops, with an answer that makes clients ask again.

        Some of these have begun something when they begin to wait: updates, and starts with an update. Asked again, by
        the same request or update id, they go on to wait for that. A query may be run a second time.
        """

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

    async def _hold_back(self, refusal: OverLimit, size: int, remaining_s: float | None) -> None:
        """Wait for the turn of a refusal of `size` bytes; the client is to hear it before it gives up."""
        if len(self._held) >= HELD_MAX or self._held_bytes + size > HELD_BYTES_MAX:
            return
        damper = self._overload_damper if refusal.limit == LIMIT else self._limit_damper
        delay_s = damper.delay_s(self._clock.now_ns())
        if remaining_s is not None:
            delay_s = min(delay_s, remaining_s / 2)
        if delay_s <= 0 or self._draining:
            return
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        timer = loop.call_later(delay_s, _come, turn)
        self._held.add(turn)
        self._held_bytes += size
        try:
            await turn
        finally:
            timer.cancel()
            self._held.discard(turn)
            self._held_bytes -= size


class _Counts:
    """Of one RPC, by namespace."""

    def __init__(self, metrics: GatewayMetrics, rpc: str, is_namespace: Callable[[str], bool]) -> None:
        self._metrics = metrics
        self._rpc = rpc
        self._is_namespace = is_namespace
        #: Of those that exist.
        self.known: dict[str, CallMetrics] = {}

    def of(self, namespace: str) -> CallMetrics:
        if not self._is_namespace(namespace):
            self.known.pop(namespace, None)
            return self._metrics.of(self._rpc)
        found = self.known.get(namespace)
        if found is None:
            found = self.known[namespace] = self._metrics.of(self._rpc, namespace)
        return found


def _traced(tracer: Tracer, system: str, rpc: str, endpoint: Endpoint) -> Endpoint:
    """Has each call told to whoever collects traces, as the server's part of its client's trace."""

    async def traced_endpoint(request: Any, remaining_s: float | None, caller: Caller) -> Message:
        with tracer.span(rpc, SpanKind.SERVER, {"rpc.system": system, "rpc.method": rpc, **about(request)}):
            return await endpoint(request, remaining_s, caller)

    return traced_endpoint


def _come(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_result(None)


def _stopping() -> Unavailable:
    return Unavailable("The server is shutting down.")
