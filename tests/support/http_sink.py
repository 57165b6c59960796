"""A server that takes whatever is sent to it over HTTP."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import NamedTuple, Self


class Received(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpSink:
    """Answers with `statuses` and `bodies`, one after the other, and then with 200 and nothing; never if it is
    silent.
    """

    def __init__(self, *, silent: bool = False, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self.bodies: list[bytes] = []
        self.statuses: list[int] = []
        self._silent = silent
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        scheme = "https" if self._tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.requests.append(Received(method, path, headers, body))
        if self._silent:
            await reader.read()
        else:
            status = self.statuses.pop(0) if self.statuses else 200
            answer_body = self.bodies.pop(0) if self.bodies else b""
            answer = (
                f"HTTP/1.1 {status} Status\r\nlocation: /elsewhere\r\ncontent-length: {len(answer_body)}\r\n"
                "connection: close\r\n\r\n"
            )
            writer.write(answer.encode() + answer_body)
            await writer.drain()
        writer.close()
