"""Who gets through the door, over real handshakes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import grpc.aio
import trustme

from perdure.frontend.tls import Authorities, ServerTls
from perdure.kernel.clock import SystemClock

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


async def test_authorities_are_put_together_when_they_change_and_not_for_each_handshake(tmp_path: Path) -> None:
    one, another = trustme.CA(), trustme.CA()
    own = one.issue_cert("localhost")
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    own.cert_chain_pems[0].write_to_path(tmp_path / "certificate.pem")
    trusted = Trusted(one)
    server = grpc.aio.server()
    tls = ServerTls(tmp_path / "certificate.pem", tmp_path / "key.pem", SystemClock(), trusted)
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
