"""What connections are let do, over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx

from perdure.infra.rest.application import Receive, Scope, Send
from perdure.infra.rest.server import AsgiServer

#: More than asyncio is let read ahead of an application.
BIG = 1024 * 1024


@asynccontextmanager
async def serving(application: Any, **options: Any) -> AsyncIterator[int]:
    """The port that it is served on."""
    server = AsgiServer(application, grace_s=1, **options)
    port = await server.start("127.0.0.1", 0)
    try:
        yield port
    finally:
        await server.stop()


async def answer(receive: Receive, send: Send, body: bytes = b"ok") -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def test_a_request_knows_nothing_of_those_before_it_on_its_connection() -> None:
    whose: ContextVar[str] = ContextVar("whose", default="nobody's")
    seen: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(whose.get())
        whose.set(scope["path"])
        await answer(receive, send)

    async with serving(application) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        await http.post("/acme", content=b"x" * BIG)
        for _ in range(2):
            await http.get("/other")
    assert seen == ["nobody's"] * 3
