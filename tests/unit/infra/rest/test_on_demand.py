"""A server that cannot be made when the first call comes."""

from __future__ import annotations

import asyncio

import pytest

from perdure.infra.rest.on_demand import OnDemand
from perdure.infra.rest.server import AsgiServer


def _fail() -> AsgiServer:
    raise ValueError("no certificate")


async def test_who_calls_is_not_kept_waiting(caplog: pytest.LogCaptureFixture) -> None:
    server = OnDemand(_fail)
    port = await server.start("127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            assert not await asyncio.wait_for(reader.read(), 5)
        except ConnectionError:
            pass
        finally:
            writer.close()
    finally:
        await server.stop()
    assert "no certificate" in caplog.text
