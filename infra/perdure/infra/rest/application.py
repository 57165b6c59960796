"""RPCs as an ASGI application: what comes in is HTTP, what handlers see are messages and a `Caller`."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from google.protobuf.message import Message
from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.infra.rest.addresses import place_of
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import (
    Code,
    DeadlineExceeded,
    Internal,
    InvalidArgument,
    PermissionDenied,
    ResourceExhausted,
    ServiceError,
)
from perdure.kernel.identity import Caller, Guard, KnownCaller
from perdure.kernel.masking import service_error
from perdure.kernel.status import HTTP_STATUS, code_of, status_of
from perdure.kernel.transcoding import jsontext
from perdure.kernel.transcoding.encode import Encoder
from perdure.kernel.transcoding.requests import JsonStyle, build_request, parse_query
from perdure.kernel.transcoding.routes import Binding, Match, MethodNotAllowed, RouteTable

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

#: Serves one RPC. It raises `ServiceError`; when the client goes away or the deadline passes, it is cancelled.
#: It is given the request, the seconds its client still waits, and who calls.
Handler = Callable[[Any, float | None, Caller], Awaitable[Message]]

HEADERS_BYTES_MAX = 16 * 1024
#: Of a body. What they send is decoded for nobody in particular, in the time of everybody.
STRANGERS_BYTES_MAX = 64 * 1024
_log = structlog.get_logger("perdure.rest")
_GRPC_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])")
_UNIT_NS = {"H": 3600 * SECOND_NS, "M": 60 * SECOND_NS, "S": SECOND_NS, "m": 10**6, "u": 10**3, "n": 1}
_HTTP_METHOD_NOT_ALLOWED = 405
_OF_WHOM = {
    "requests_max": "",
    "requests_per_address_max": " from one address",
    "requests_per_account_max": " of one account",
}
#: A field of `RestLimits`, and whose requests are counted for it.
_Bound = tuple[str, str]
_STRANGERS: _Bound = ("requests_per_account_max", "")


@dataclass(frozen=True, slots=True)
class RestLimits:
    """What the application takes at once: of all, and, if a guard tells them apart, of those from one address and of
    those of one account, which may have keys anywhere. A request waits `request_s_max` seconds for its answer, its body
    included.
    """

    requests_max: int = 256
    requests_per_address_max: int = 64
    requests_per_account_max: int = 128
    buffered_bytes_max: int = 64 * 1024 * 1024
    request_s_max: float = 60.0


class RestApplication:
    """Serves the bindings of a table, each RPC with its handler (by `Binding.rpc_path`).

    With `shorthand`, payloads of JSON are that JSON unless the query has `noPayloadShorthand`. With a `guard`, who
    calls is asked before anything is read or kept for him; what he may do is for the handlers to ask. Strangers may
    call what `is_open` says so of, by the full name of the RPC: with small bodies, and all of them together as if they
    were one account.

    Raises:
        ValueError: an RPC of the table has no handler.
    """

    def __init__(
        self,
        table: RouteTable,
        handlers: Mapping[str, Handler],
        *,
        shorthand: bool = False,
        guard: Guard | None = None,
        is_open: Callable[[str], bool] = lambda rpc: False,
        limits: RestLimits | None = None,
    ) -> None:
        missing = sorted({each.rpc_path for each in table.bindings} - handlers.keys())
        if missing:
            raise ValueError(f"no handler for {', '.join(missing)}")
        self._table = table
        self._handlers = handlers
        self._shorthand = shorthand
        self._guard = guard
        self._is_open = is_open
        self._limits = limits or RestLimits()
        #: Requests being served, by what bounds them: the name of a limit, and whose it is.
        self._running: Counter[_Bound] = Counter()
        self._buffered = 0

    def knows(self, scope: Scope) -> bool:
        """Whether one of its RPCs has this path."""
        try:
            self._table.find(_method(scope), _raw_path(scope))
        except MethodNotAllowed:
            return True
        except ServiceError:
            return False
        return True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # a websocket that nobody accepts is refused by the server
        exchange = _Exchange(receive)
        style = JsonStyle()
        rpc = ""
        headers: list[tuple[bytes, bytes]] = []
        try:
            metadata = metadata_of(scope)
            match = self._table.find(_method(scope), _raw_path(scope))
            rpc = match.binding.rpc_path
            query = parse_query(scope["query_string"].decode("latin-1"), shorthand=self._shorthand)
            style = query.style
            _check_headers(scope["method"], metadata)
            caller = KnownCaller(metadata, (scope.get("client") or ("", 0))[0])
            bounds = await self._bounds(match.binding.rpc.full_name, caller)
            response = await self._run(
                exchange, caller, bounds, lambda body: build_request(match, query, body), self._handlers[rpc]
            )
            status, value = 200, _written(match, response, style)
        except _ClientGone:
            return
        except Exception as error:
            shown = service_error(error)
            if shown is None:
                _log.exception("an RPC failed over HTTP", rpc=rpc)
                shown = Internal("internal error")
            status, value = HTTP_STATUS[code_of(shown)], Encoder().write(status_of(shown))
            if isinstance(shown, MethodNotAllowed):
                status = _HTTP_METHOD_NOT_ALLOWED
                headers.append((b"allow", ", ".join(_allowed(shown.allow)).encode()))
            elif code_of(shown) is Code.UNAUTHENTICATED:
                headers.append((b"www-authenticate", b"Bearer"))
        await _send(send, status, jsontext.dump(value, pretty=style.pretty), headers)

    def _patience_s(self, metadata: Mapping[str, str]) -> float:
        """How long the caller waits: as it says, but not longer than we let it."""
        most = self._limits.request_s_max
        given = metadata.get("grpc-timeout")
        if given is None:
            return most
        found = _GRPC_TIMEOUT.fullmatch(given)
        if found is None:
            raise InvalidArgument("header grpc-timeout: expected digits and one of H, M, S, m, u, n")
        return min(most, int(found[1]) * _UNIT_NS[found[2]] / SECOND_NS)

    async def _bounds(self, rpc: str, caller: Caller) -> list[_Bound]:
        """What bounds his requests. Raises Unauthenticated: nobody knows him, and this RPC is not for strangers."""
        bounds = [("requests_max", "")]
        guard = self._guard
        if guard is None:
            # All may come through one proxy.
            return bounds
        bounds.append(("requests_per_address_max", place_of(guard.address_of(caller))))
        if self._is_open(rpc):
            bounds.append(_STRANGERS)
            return bounds
        principal = await guard.recognize(caller)
        if principal is None:
            # It is told why, or has a certificate, which is nobody's yet.
            await guard.authenticate(caller)
        else:
            bounds.append(("requests_per_account_max", principal.account_id))
        return bounds

    async def _run(
        self,
        exchange: _Exchange,
        caller: Caller,
        bounds: Sequence[_Bound],
        build: Callable[[bytes], Message],
        handler: Handler,
    ) -> Message:
        try:
            until_s = asyncio.get_running_loop().time() + self._patience_s(caller.metadata)
            with self._slot(bounds):
                async with asyncio.timeout_at(until_s) as limit:
                    most = STRANGERS_BYTES_MAX if _STRANGERS in bounds else jsontext.BODY_BYTES_MAX
                    body = await self._body(exchange, int(caller.metadata.get("content-length", "0")), most)
                    # Handed over: a refusal may be held back, and is to be without it.
                    request = [build(body)]
                    del body
                    # The client's going away ends the call as its deadline would: by cancelling it, once.
                    watch = asyncio.ensure_future(exchange.closed(limit))
                    try:
                        return await handler(request.pop(), until_s - asyncio.get_running_loop().time(), caller)
                    finally:
                        watch.cancel()
        except TimeoutError as error:
            if exchange.gone:
                raise _ClientGone from error
            if limit.expired():
                raise DeadlineExceeded("the request's deadline has passed") from error
            raise

    @contextmanager
    def _slot(self, bounds: Sequence[_Bound]) -> Iterator[None]:
        """Raises ResourceExhausted: too many requests are being served."""
        running = self._running
        for bound in bounds:
            most: int = getattr(self._limits, bound[0])
            if running[bound] >= most:
                raise _exhausted(f"more than {most} HTTP requests at once{_OF_WHOM[bound[0]]} ({bound[0]})")
        running.update(bounds)
        try:
            yield
        finally:
            for bound in bounds:
                running[bound] -= 1
                if not running[bound]:
                    del running[bound]

    async def _body(self, exchange: _Exchange, declared: int, most: int) -> bytes:
        if declared > most:
            raise InvalidArgument(f"body is larger than {most} bytes")
        chunks: list[bytes] = []
        size = 0
        try:
            while not exchange.complete:
                chunk = await exchange.chunk()
                size += len(chunk)
                self._buffered += len(chunk)
                if size > most:
                    raise InvalidArgument(f"body is larger than {most} bytes")
                if self._buffered > self._limits.buffered_bytes_max:
                    raise _exhausted(
                        f"bodies of more than {self._limits.buffered_bytes_max} bytes (buffered_bytes_max)"
                    )
                chunks.append(chunk)
            return b"".join(chunks)
        finally:
            self._buffered -= size


class _ClientGone(Exception):
    """Nobody is there any more to be answered."""


class _Exchange:
    """What the client sends of one request: its body, and that it has gone away."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.complete = False
        self.gone = False

    async def chunk(self) -> bytes:
        event = await self._receive()
        if event["type"] == "http.disconnect":
            self.gone = True
            raise _ClientGone
        self.complete = not event.get("more_body", False)
        body: bytes = event.get("body", b"")
        return body

    async def closed(self, limit: asyncio.Timeout) -> None:
        """Wait until the client has gone, and end the limit then."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        limit.reschedule(asyncio.get_running_loop().time())


def metadata_of(scope: Scope) -> dict[str, str]:
    """The headers. Raises InvalidArgument: they are too many or too long."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES_MAX:
        raise InvalidArgument(f"headers are larger than {HEADERS_BYTES_MAX} bytes")
    metadata: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        metadata[name] = f"{metadata[name]},{value}" if name in metadata else value
    return metadata


def _method(scope: Scope) -> str:
    """HEAD is GET, whose body the server leaves away."""
    method: str = scope["method"]
    return "GET" if method == "HEAD" else method


def _allowed(methods: tuple[str, ...]) -> list[str]:
    return sorted({*methods, "HEAD"} if "GET" in methods else methods)


def _raw_path(scope: Scope) -> str:
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw is not None else scope["path"]


def _check_headers(method: str, metadata: Mapping[str, str]) -> None:
    media_type = metadata.get("content-type", "").partition(";")[0].strip().lower()
    has_body = metadata.get("content-length", "0") != "0" or "transfer-encoding" in metadata
    if has_body and media_type.partition("+")[0] != "application/json":
        raise InvalidArgument("header content-type: expected application/json")
    # Browsers say so when a page of another site is the caller. Without credentials (on loopback) it would be let in.
    if method not in ("GET", "HEAD") and metadata.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise PermissionDenied("calls from pages of other sites are refused")


def _written(match: Match, response: Message, style: JsonStyle) -> Any:
    encoder = Encoder(shorthand=style.shorthand)
    binding: Binding = match.binding
    if not binding.response_body:
        return encoder.write(response)
    field = binding.rpc.output_type.fields_by_name[binding.response_body]
    return encoder.write_field(field, getattr(response, field.name))


def _exhausted(message: str) -> ResourceExhausted:
    return ResourceExhausted(
        message,
        ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT,
        ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
    )


async def _send(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    fixed = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": fixed + headers})
    await send({"type": "http.response.body", "body": body})
