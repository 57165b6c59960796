"""Certificates of servers and authorities of clients are replaced while everybody calls, and no call is lost."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import grpc.aio
import pytest

from perdure.auth.certificates.issuing import Issued, generate_authority, generate_leaf, load_issued
from perdure.infra.local.cluster import Node
from perdure.infra.tenancy import server_certificate
from perdure.kernel.runtime import Runtime
from tests.support.tenants import Tenants, start_over, tenants, until

pytestmark = pytest.mark.timeout(180)

#: Calls of each caller, besides those that are made while something is replaced.
AFTER = 20


class Caller:
    """Calls over one connection, one after the other, until it is told to stop."""

    def __init__(self, channel: grpc.aio.Channel, namespace: str, token: str = "") -> None:
        self._call = lambda: start_over(channel, namespace, token)
        self.outcomes: list[str] = []

    async def run(self) -> None:
        while True:
            self.outcomes.append(await self._call())

    async def more(self) -> None:
        """Return when it has called some more times."""
        enough = len(self.outcomes) + AFTER
        await until(True, lambda: _is(lambda: len(self.outcomes) >= enough), within_s=30)


async def _is(condition: Callable[[], bool]) -> bool:
    return condition()


@asynccontextmanager
async def _calling(there: Tenants, gateways: list[Node]) -> AsyncIterator[tuple[list[Caller], list[Caller]]]:
    """Those with an API key, and those with a certificate; each on a connection of its own that stays open."""
    async with AsyncExitStack() as stack:

        async def connected(address: str, credentials: grpc.ChannelCredentials) -> grpc.aio.Channel:
            return await stack.enter_async_context(grpc.aio.secure_channel(address, credentials))

        with_keys = [
            Caller(await connected(node.address, there.by_key), there.namespace, there.token) for node in gateways
        ]
        with_certificates = [
            Caller(await connected(node.mutual_address, there.by_certificate), there.namespace) for node in gateways
        ]
        running = [asyncio.create_task(caller.run()) for caller in (*with_keys, *with_certificates)]
        try:
            yield with_keys, with_certificates
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)


async def _shown(address: str) -> str:
    """The certificate that the server shows to a new connection."""
    host, _, port = address.rpartition(":")
    return await asyncio.to_thread(ssl.get_server_certificate, (host, int(port)), timeout=10)


async def test_the_servers_certificate_is_renewed(tmp_path: Path) -> None:
    async with tenants(tmp_path / "old", "history,matching,gateway", "gateway", "control-plane") as there:
        gateways = there.cluster.with_role("gateway")
        (control_plane,) = there.cluster.with_role("control-plane")
        for node in gateways:
            await until("OK", lambda node=node: there.with_certificate(node))
        server_certificate.make(tmp_path / "new", ["localhost", "127.0.0.1"], Runtime())
        renewed = (tmp_path / "new" / server_certificate.CERTIFICATE).read_bytes()
        old = there.credentials.server
        async with _calling(there, gateways) as (with_keys, with_certificates):
            callers = [*with_keys, *with_certificates]
            # First the one file, then, when everybody has met the two that do not belong together, the other.
            old.write_bytes(renewed)
            assert await there.with_key(gateways[0]) == "OK"
            web = urlsplit(control_plane.web)
            assert await _shown(web.netloc) != renewed.decode()
            await asyncio.gather(*(caller.more() for caller in callers))
            old.with_suffix(".key").write_bytes((tmp_path / "new" / server_certificate.KEY).read_bytes())
            ports = [*(node.address for node in gateways), control_plane.address, web.netloc]
            for address in ports:
                await until(renewed.decode(), lambda address=address: _shown(address))
            # Clients that know the new authority come in, on both ports.
            there.trusted = (tmp_path / "new" / server_certificate.AUTHORITY).read_bytes()
            for node in gateways:
                assert await there.with_key(node) == await there.with_certificate(node) == "OK"
            await asyncio.gather(*(caller.more() for caller in callers))
            for caller in callers:
                assert set(caller.outcomes) == {"OK"}


def _text(*authorities: Issued) -> str:
    return base64.b64encode(b"".join(each.certificate_pem for each in authorities)).decode()


async def test_the_authorities_of_a_namespace_are_replaced(tmp_path: Path) -> None:
    async with tenants(tmp_path, "history,matching,gateway", "gateway", "control-plane") as there:
        gateways = there.cluster.with_role("gateway")
        cloud = there.cloud(there.cluster.with_role("control-plane")[0])
        for node in gateways:
            await until("OK", lambda node=node: there.with_certificate(node))
        now = datetime.now(UTC)
        path = there.credentials.authority
        first, second = (
            load_issued(path.read_bytes(), path.with_suffix(".key").read_bytes()),
            generate_authority("second", timedelta(days=9), now),
        )
        renewed = generate_leaf(second, now)
        credentials = grpc.ssl_channel_credentials(there.trusted, renewed.key_pem, renewed.certificate_pem)

        async def call(node: Node) -> str:
            async with grpc.aio.secure_channel(node.mutual_address, credentials) as channel:
                return await start_over(channel, there.namespace)

        async def trust(*authorities: Issued) -> None:
            both = {"enabled": True, "acceptedClientCa": _text(*authorities)}
            await cloud.change_namespace(there.namespace, mtlsAuth=both)

        async with _calling(there, gateways) as (with_keys, with_certificates):
            await trust(first, second)
            for node in gateways:
                await until("OK", lambda node=node: call(node))
            await asyncio.gather(*(caller.more() for caller in with_certificates))
            assert {outcome for caller in with_certificates for outcome in caller.outcomes} == {"OK"}
            # Now only the new one is trusted: calls end, also on connections that are open.
            await trust(second)
            for caller in with_certificates:
                await until("PERMISSION_DENIED", lambda caller=caller: _last(caller))
            for node in gateways:
                await until("OK", lambda node=node: call(node))
            await asyncio.gather(*(caller.more() for caller in (*with_keys, *with_certificates)))
            for caller in with_certificates:
                assert set(caller.outcomes[-AFTER:]) == {"PERMISSION_DENIED"}
            for caller in with_keys:
                assert set(caller.outcomes) == {"OK"}
        await cloud.close()


async def _last(caller: Caller) -> str:
    return caller.outcomes[-1]
