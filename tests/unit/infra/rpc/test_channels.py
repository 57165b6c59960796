"""What gRPC is configured to do, on real sockets."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
import trustme
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from perdure.infra.rpc import Channels, InternalServer, TlsFiles, link
from perdure.kernel.errors import ResourceExhausted
from perdure.kernel.transport import IncomingCall, PeerUnreachable

ECHO, HELD = "/test/Echo", "/test/Held"
SOON_S = 20.0


async def echo(body: bytes, _: IncomingCall) -> bytes:
    return body


async def held(body: bytes, _: IncomingCall) -> bytes:
    await asyncio.Event().wait()
    raise AssertionError("nobody sets the event")


@asynccontextmanager
async def serving(tls: TlsFiles | None = None) -> AsyncIterator[tuple[InternalServer, str]]:
    server = InternalServer({ECHO: echo, HELD: held}, tls=tls)
    port = await server.start("127.0.0.1:0")
    try:
        yield server, f"127.0.0.1:{port}"
    finally:
        await server.stop(0)


@asynccontextmanager
async def calling(tls: TlsFiles | None = None, idle_s_max: float = 60.0) -> AsyncIterator[Channels]:
    channels = Channels(tls=tls, idle_s_max=idle_s_max)
    try:
        yield channels
    finally:
        await channels.close()


_PEER = """
import asyncio
from tests.unit.infra.rpc.test_channels import serving

async def main():
    async with serving() as (_, address):
        print(address, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@asynccontextmanager
async def peer() -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A process of its own, and its address."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", _PEER, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, (await asyncio.wait_for(process.stdout.readline(), SOON_S)).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_peer_that_falls_silent_is_noticed() -> None:
    loop = asyncio.get_running_loop()
    async with peer() as (process, address), calling() as channels:
        assert await channels.call(address, ECHO, b"awake", timeout_s=SOON_S) == b"awake"
        process.send_signal(signal.SIGSTOP)
        started_s = loop.time()
        with pytest.raises(PeerUnreachable) as caught:
            await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        assert caught.value.may_have_executed
        # Its kernel still accepts connections.
        with pytest.raises(PeerUnreachable) as caught:
            await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        assert not caught.value.may_have_executed
        assert loop.time() - started_s < 8
        process.send_signal(signal.SIGCONT)
        assert await _answered(channels, address) == b"back"


async def test_a_peer_that_is_killed_is_noticed_at_once() -> None:
    async with peer() as (process, address), calling() as channels:
        await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        call = asyncio.create_task(channels.call(address, HELD, b"", timeout_s=SOON_S))
        await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        process.kill()
        with pytest.raises(PeerUnreachable) as caught:
            await asyncio.wait_for(call, 2)
        assert caught.value.may_have_executed


async def _answered(channels: Channels, address: str) -> bytes:
    async with asyncio.timeout(SOON_S):
        while True:
            try:
                return await channels.call(address, ECHO, b"back", timeout_s=SOON_S)
            except PeerUnreachable:
                await asyncio.sleep(0.01)


async def test_an_address_that_nobody_calls_any_more_is_dropped() -> None:
    async with serving() as (server, address), calling(idle_s_max=0.05) as channels:
        await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        # A stop in order waits for callers to close, which an idle one does by itself.
        await asyncio.wait_for(server._no_links.wait(), SOON_S)
        assert await channels.call(address, ECHO, b"again", timeout_s=SOON_S) == b"again"


async def test_what_waits_for_a_peer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "CALLS_MAX", 3)
    async with serving() as (_, address), calling() as channels:
        calls = [asyncio.create_task(channels.call(address, HELD, b"", timeout_s=SOON_S)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted):
            await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert await channels.call(address, ECHO, b"room", timeout_s=SOON_S) == b"room"


async def test_closed_channels_call_nobody() -> None:
    async with serving() as (_, address), calling() as channels:
        call = asyncio.create_task(channels.call(address, HELD, b"", timeout_s=SOON_S))
        await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        await channels.close()
        with pytest.raises(PeerUnreachable) as caught:
            await call
        assert caught.value.may_have_executed
        with pytest.raises(PeerUnreachable) as caught:
            await channels.call(address, ECHO, b"", timeout_s=SOON_S)
        assert not caught.value.may_have_executed


async def test_channels_can_be_closed_before_they_are_open() -> None:
    async with serving() as (_, address), calling() as channels:
        call = asyncio.ensure_future(channels.call(address, ECHO, b"", timeout_s=None))
        closing = asyncio.ensure_future(channels.close())
        with pytest.raises(PeerUnreachable) as caught:
            await asyncio.wait_for(call, SOON_S)
        await closing
        assert not caught.value.may_have_executed


async def test_a_port_in_use_is_an_error_of_its_own() -> None:
    async with serving() as (_, address):
        with pytest.raises(OSError, match=address):
            await InternalServer({}).start(address)


async def test_health_turns_when_draining() -> None:
    async with serving() as (server, address), grpc.aio.insecure_channel(address) as channel:
        stub: Any = HealthStub(channel)
        assert (await stub.Check(HealthCheckRequest())).status == HealthCheckResponse.SERVING
        await server.drain()
        assert (await stub.Check(HealthCheckRequest())).status == HealthCheckResponse.NOT_SERVING


async def test_a_peer_that_speaks_something_else_is_sent_away() -> None:
    async with serving() as (_, address), grpc.aio.insecure_channel(address) as channel:
        stream: grpc.aio.StreamStreamCall[bytes, bytes] = channel.stream_stream("/perdure.internal.Link/Connect")()
        await stream.write(b"\xc1 no frames")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            while await stream.read():
                pass
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def files(directory: Path, authority: trustme.CA, name: str, trusted: trustme.CA | None = None) -> TlsFiles:
    """Files of a process with a certificate of `authority`, which trusts `trusted` if that is another one."""
    certificate = authority.issue_cert("perdure")
    result = TlsFiles(directory / f"{name}-ca.pem", directory / f"{name}.pem", directory / f"{name}-key.pem")
    (trusted or authority).cert_pem.write_to_path(result.ca)
    for part in certificate.cert_chain_pems:
        part.write_to_path(result.certificate, append=True)
    certificate.private_key_pem.write_to_path(result.key)
    return result


async def test_processes_of_one_authority_talk(tmp_path: Path) -> None:
    authority = trustme.CA()
    async with (
        serving(files(tmp_path, authority, "server")) as (_, address),
        calling(files(tmp_path, authority, "client")) as channels,
    ):
        assert await channels.call(address, ECHO, b"secret", timeout_s=SOON_S) == b"secret"


async def test_others_do_not(tmp_path: Path) -> None:
    ours, theirs = trustme.CA(), trustme.CA()
    strangers = [
        files(tmp_path, theirs, "of-another-authority", trusted=ours),
        files(tmp_path, ours, "does-not-trust-ours", trusted=theirs),
        None,
    ]
    async with serving(files(tmp_path, ours, "server")) as (_, address):
        for stranger in strangers:
            async with calling(stranger) as channels:
                with pytest.raises(PeerUnreachable) as caught:
                    await channels.call(address, ECHO, b"", timeout_s=SOON_S)
                assert not caught.value.may_have_executed
