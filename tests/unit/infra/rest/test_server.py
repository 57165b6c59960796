"""What connections are let do, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import httpx
import pytest

from perdure.infra.rest import server as server_module
from perdure.infra.rest.application import Receive, Scope, Send
from perdure.infra.rest.server import AsgiServer

#: More than asyncio is let read ahead of an application.
BIG = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


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


async def greet(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(receive, send)


async def passes(seconds: float) -> None:
    elapsed = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, elapsed.set)
    await elapsed.wait()


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


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
    ids=["nothing", "head", "body", "body of the second"],
)
async def test_a_request_that_is_never_complete_is_not_waited_for(
    begun: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "READ_S_MAX", 0.05)
    async with serving(greet) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        await asyncio.wait_for(reader.read(), 10)  # to the end, which is what closes
        writer.close()


async def test_between_requests_only_the_time_for_keeping_alive_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_S_MAX", 0.05)
    async with serving(greet) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\nok")
            await passes(0.2)
        writer.close()


async def test_a_complete_request_may_take_longer_than_its_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "READ_S_MAX", 0.05)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await passes(0.2)
        await answer(receive, send)

    async with serving(slow) as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
        assert (await http.get("/")).status_code == 200


async def give_much(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(receive, send, b"x" * 16 * BIG)


def reads_nothing(port: int, requests: int, last: bytes = b"") -> socket.socket:
    """A client that asks, and does not listen."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    client.sendall(GET * requests + last)
    return client


async def until_let_in(port: int) -> None:
    """Connect until that is served. Raises TimeoutError: others keep their connections."""
    async with asyncio.timeout(10):
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET)
            with contextlib.suppress(ConnectionError):
                if await reader.read(1):
                    break
    writer.close()


@pytest.mark.parametrize("requests", [1, 3], ids=["one answer", "several"])
@pytest.mark.parametrize(
    "last", [b"", b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"], ids=["kept alive", "closed"]
)
async def test_a_client_that_does_not_take_its_answers_is_not_waited_for(
    requests: int, last: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "TAKE_S_MAX", 0.1)
    async with serving(give_much, connections_per_address_max=1) as port:
        with reads_nothing(port, requests, last):
            await until_let_in(port)


async def test_a_client_may_take_its_answer_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "TAKE_S_MAX", 0.1)
    async with serving(give_much) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=server_module.TAKEN_BYTES_MIN)
        writer.write(GET)
        taken = 0
        while taken < 16 * BIG:
            part = await reader.read(2 * BIG)
            assert part
            taken += len(part)
            await passes(0.002)
        writer.close()


async def test_connections_from_one_address_are_bounded() -> None:
    async with serving(greet, connections_per_address_max=2) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        for reader, writer in held:
            writer.write(GET)
            await reader.readuntil(b"\r\n\r\nok")
        reader, _ = await asyncio.open_connection("127.0.0.1", port)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        held[0][1].close()
        await until_let_in(port)
        held[1][1].close()


async def test_after_a_request_of_two_lengths_nothing_is_believed() -> None:
    served: list[str] = []

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope["path"])
        await answer(receive, send)

    async with serving(application) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        writer.write(head + b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n")
        answers = await asyncio.wait_for(reader.read(), 10)
        writer.close()
    assert (answers.count(b"HTTP/1.1 200"), served) == (1, ["/first"])
