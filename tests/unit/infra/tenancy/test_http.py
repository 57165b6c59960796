"""The control plane over HTTP, before any of its RPCs is reached."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from perdure.infra.rest.application import STRANGERS_BYTES_MAX
from perdure.infra.tenancy.http import control_plane_server
from tests.support.control_plane import ControlBench, control_bench

JSON = {"content-type": "application/json"}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    async with control_bench(f"sqlite:///{tmp_path}/control-plane.db") as bench:
        yield bench


@pytest.fixture
async def client(bench: ControlBench) -> AsyncIterator[httpx.AsyncClient]:
    server = control_plane_server(bench.control_plane.services(), bench.access, {}, {})
    port = await server.start("127.0.0.1", 0)
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            yield http
    finally:
        await server.stop()


async def test_strangers_are_refused_before_anything_is_read_from_them(client: httpx.AsyncClient) -> None:
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(
        b"POST /cloud/users HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_whoever_has_a_key_is_served(bench: ControlBench, client: httpx.AsyncClient) -> None:
    owner = await bench.account()
    answer = await client.get("/cloud/users", headers={"authorization": f"Bearer {owner.token}"})
    assert [user["id"] for user in answer.json()["users"]] == [owner.user_id]


async def test_strangers_may_sign_in_with_little_said(client: httpx.AsyncClient) -> None:
    answer = await client.post("/identity/sign-in", json={})
    assert (answer.status_code, "email" in answer.json()["message"]) == (400, True)
    answer = await client.post("/identity/sign-in", content=b" " * (STRANGERS_BYTES_MAX + 1), headers=JSON)
    assert (answer.status_code, answer.json()["message"]) == (400, f"body is larger than {STRANGERS_BYTES_MAX} bytes")
