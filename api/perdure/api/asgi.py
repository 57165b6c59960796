"""What HTTP applications have in common that are no RPCs: they are mounted beside these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from perdure.kernel.identity import KnownCaller

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADERS_BYTES_MAX = 16 * 1024


class ClientGone(Exception):
    """Nobody is there any more to be answered."""


class TooLarge(Exception):
    """Of a request; the message says what is, and the limit."""


def caller_of(scope: Scope) -> KnownCaller:
    """Raises TooLarge: it says too much of itself."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES_MAX:
        raise TooLarge(f"headers are larger than {HEADERS_BYTES_MAX} bytes")
    metadata: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        metadata[name] = f"{metadata[name]},{value}" if name in metadata else value
    return KnownCaller(metadata, (scope.get("client") or ("", 0))[0])


async def read_body(receive: Receive, bytes_max: int) -> bytes:
    """Raises TooLarge, ClientGone."""
    chunks: list[bytes] = []
    size = 0
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = event.get("body", b"")
        size += len(chunk)
        if size > bytes_max:
            raise TooLarge(f"body is larger than {bytes_max} bytes")
        chunks.append(chunk)
        if not event.get("more_body", False):
            return b"".join(chunks)


async def respond(
    send: Send, status: int, content_type: str, body: bytes, headers: Iterable[tuple[str, str]] = ()
) -> None:
    """What nobody is to keep."""
    every = [
        ("content-type", content_type),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        *headers,
    ]
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in every]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
