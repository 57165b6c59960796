"""A server that cannot be made when the first call comes."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from perdure.infra.rest.on_demand import OnDemand
from perdure.infra.rest.server import AsgiServer


def _fail() -> AsgiServer:
    raise ValueError("no certificate")


async def test_who_calls_is_not_kept_waiting(caplog: pytest.LogCaptureFixture) -> None:
    server = OnDemand(_fail)
    port = await server.start("127.0.0.1", 0)
    try:
        # Refused at once, or closed as soon as it was there.
        with suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            assert not await asyncio.wait_for(reader.read(), 5)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
    finally:
        await server.stop()
    assert "no certificate" in caplog.text
