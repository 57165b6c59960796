"""Who gets through the door, over real handshakes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import pytest
import trustme

from perdure.frontend.tls import Authorities, ServerTls, _Fetcher
from perdure.kernel.clock import SECOND_NS, SystemClock, VirtualClock

PATIENCE_S = 10


class Trusted:
    """Authorities that change, and how often they were put together."""

    def __init__(self, *authorities: trustme.CA) -> None:
        self.revision = 1
        self.authorities = list(authorities)
        self.put_together = 0

    def add(self, authority: trustme.CA) -> None:
        self.authorities.append(authority)
        self.revision += 1

    def __call__(self) -> Authorities:
        return Authorities(self.revision, self._pem)

    def _pem(self) -> bytes:
        self.put_together += 1
        return b"".join(authority.cert_pem.bytes() for authority in self.authorities)


class Files:
    """The certificate of a server, and its key."""

    def __init__(self, directory: Path) -> None:
        self.authority = trustme.CA()
        self.certificate, self.key = directory / "certificate.pem", directory / "key.pem"
        self.renew()

    def renew(self) -> None:
        own = self.authority.issue_cert("localhost")
        own.private_key_pem.write_to_path(self.key)
        own.cert_chain_pems[0].write_to_path(self.certificate)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_a_clock_that_is_set_back_keeps_nothing_away(files: Files) -> None:
    clock, trusted = VirtualClock(3600 * SECOND_NS), Trusted(files.authority)
    fetch = _Fetcher(ServerTls(files.certificate, files.key, clock, trusted), mutual=True)
    fetch.first()
    trusted.add(trustme.CA())
    assert fetch() is None  # so soon after the first
    clock.advance(-1800 * SECOND_NS)
    assert fetch() is not None


def test_files_that_are_away_for_a_moment_are_taken_over_when_they_are_back(files: Files) -> None:
    fetch = _Fetcher(ServerTls(files.certificate, files.key, SystemClock()), mutual=False)
    files.key.unlink()
    assert fetch() is None
    files.renew()
    assert fetch() is not None
    assert fetch() is None


async def test_authorities_are_put_together_when_they_change_and_not_for_each_handshake(files: Files) -> None:
    one, another = files.authority, trustme.CA()
    trusted = Trusted(one)
    server = grpc.aio.server()
    tls = ServerTls(files.certificate, files.key, SystemClock(), trusted)
    port = server.add_secure_port("localhost:0", tls.mutual())
    await server.start()

    async def connect(authority: trustme.CA) -> None:
        client = authority.issue_cert("client@example.com")
        credentials = grpc.ssl_channel_credentials(
            one.cert_pem.bytes(), client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()
        )
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(f"localhost:{port}", credentials, options) as channel:
            await asyncio.wait_for(channel.channel_ready(), PATIENCE_S)

    try:
        for _ in range(3):
            await connect(one)
        assert trusted.put_together == 1
        trusted.add(another)
        for _ in range(3):
            await connect(another)
        assert trusted.put_together == 2
    finally:
        await server.stop(0)
