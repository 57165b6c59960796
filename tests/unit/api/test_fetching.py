"""Documents of issuers: nothing inside the installation is asked, and nobody answers without end."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Sequence

import pytest

from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from perdure.api.outgoing.fetching import DOCUMENT_BYTES_MAX, fetch_by
from perdure.auth.oidc.issuers import Fetch, FetchFailed
from tests.support.http_sink import HttpSink

LOOPBACK = AllowedAddresses(["127.0.0.0/8"])
TIMEOUT_S = 10.0


@pytest.fixture
async def fetch() -> AsyncIterator[Fetch]:
    calls = GuardedCalls(LOOPBACK)
    yield fetch_by(calls, TIMEOUT_S)
    await calls.aclose()


async def test_a_document(fetch: Fetch) -> None:
    async with HttpSink() as server:
        server.bodies.append(b'{"issuer": "x"}')
        assert await fetch(f"{server.url}.well-known/openid-configuration") == b'{"issuer": "x"}'
        assert server.requests[0].path == "/.well-known/openid-configuration"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "64:ff9b::7f00:1"])
async def test_an_address_that_only_we_can_reach(address: str) -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return [address]

    calls = GuardedCalls(AllowedAddresses(), resolve)
    with pytest.raises(FetchFailed, match="must not be called"):
        await fetch_by(calls, TIMEOUT_S)("https://issuer.example/.well-known/openid-configuration")
    await calls.aclose()


@pytest.mark.parametrize("status", [301, 302, 404, 500])
async def test_redirects_are_not_followed_and_failures_are_no_documents(fetch: Fetch, status: int) -> None:
    async with HttpSink() as server:
        server.statuses.append(status)
        with pytest.raises(FetchFailed, match=f"status {status}"):
            await fetch(server.url)
        assert len(server.requests) == 1


async def test_too_much(fetch: Fetch) -> None:
    async with HttpSink() as server:
        server.bodies += [b"x" * (DOCUMENT_BYTES_MAX + 1), gzip.compress(b" " * DOCUMENT_BYTES_MAX * 100)]
        with pytest.raises(FetchFailed, match="more than"):
            await fetch(server.url)
        assert server.requests[0].headers["accept-encoding"] == "identity"
        # Sent packed without being asked to: it is not unpacked.
        assert len(await fetch(server.url)) <= DOCUMENT_BYTES_MAX


async def test_somebody_who_never_answers() -> None:
    calls = GuardedCalls(LOOPBACK)
    async with HttpSink(silent=True) as server:
        with pytest.raises(FetchFailed, match="did not answer"):
            await fetch_by(calls, 0.05)(server.url)
    await calls.aclose()
