"""A very small HTTP server for operators: a few fixed pages, GET and HEAD only, one request per connection.

It is on asyncio's streams because an application server costs more memory than everything it would serve here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple

HEAD_BYTES_MAX = 8 * 1024
REQUEST_S_MAX = 10.0
CONNECTIONS_MAX = 64


class Page(NamedTuple):
    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


class HttpServer:
    """Serves each path with what its function returns."""

    def __init__(self, pages: Mapping[str, Callable[[], Page]]) -> None:
        self._pages = pages
        self._server: asyncio.Server | None = None
        self._free = asyncio.Semaphore(CONNECTIONS_MAX)

    async def start(self, host: str, port: int) -> int:
        """Serve, and say on which port (0 means any).

        Raises:
            OSError: the address cannot be had.
        """
        self._server = await asyncio.start_server(self._serve, host, port, limit=HEAD_BYTES_MAX)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._free, asyncio.timeout(REQUEST_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head))
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            pass  # whoever called is gone or does not speak HTTP: nobody is there to be told
        finally:
            writer.close()

    def _answer(self, head: bytes) -> bytes:
        method, _, rest = head.partition(b" ")
        target, _, _ = rest.partition(b" ")
        if method not in (b"GET", b"HEAD"):
            return _response(_text(HTTPStatus.METHOD_NOT_ALLOWED), with_body=True)
        page = self._pages.get(target.partition(b"?")[0].decode("latin-1"))
        return _response(page() if page else _text(HTTPStatus.NOT_FOUND), with_body=method == b"GET")


def _text(status: HTTPStatus) -> Page:
    return Page(status, "text/plain; charset=utf-8", f"{status.phrase}\n".encode())


def _response(page: Page, *, with_body: bool) -> bytes:
    more = "".join(f"{name}: {value}\r\n" for name, value in page.headers)
    head = (
        f"HTTP/1.1 {page.status.value} {page.status.phrase}\r\n"
        f"Content-Type: {page.content_type}\r\n"
        f"Content-Length: {len(page.body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode() + (page.body if with_body else b"")
