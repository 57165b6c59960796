"""HTTP calls to addresses that tenants have given us.

The name is resolved once, all of its addresses are checked, and the connection goes to one of those: a name that means
something else a moment later does not help. Redirects are not followed, proxies of the environment not used, and of
an answer no more is read than was asked for.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from perdure.api.outgoing.addresses import AllowedAddresses

TIMEOUT_S = 10.0
_OK = 200

#: The addresses of a host. Raises OSError: there are none.
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[4][0]) for address in found]


class CallFailed(Exception):
    """Nothing came of a call, or nobody knows what. The message is for the account, and holds no secret.

    `is_theirs`: it will fail until the account changes something.
    """

    def __init__(self, message: str, *, is_theirs: bool) -> None:
        super().__init__(message)
        self.is_theirs = is_theirs


class GuardedCalls:
    """`aclose` is called once."""

    def __init__(
        self,
        allowed: AllowedAddresses,
        resolve: Resolve = resolve,
        timeout_s: float = TIMEOUT_S,
        authority: Path | None = None,
    ) -> None:
        """`authority` is a file of certificates that are trusted besides those of the system.

        Raises:
            OSError: it cannot be read.
        """
        tls = ssl.create_default_context()
        if authority is not None:
            tls.load_verify_locations(authority)
        self._allowed = allowed
        self._resolve = resolve
        self._timeout_s = timeout_s
        self._client = httpx.AsyncClient(
            verify=tls,
            timeout=timeout_s,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    async def aclose(self) -> None:
        await self._client.aclose()

    async def send(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """The status of the answer.

        Raises:
            CallFailed: there is none, or the address may not be called.
        """
        async with self._opened(method, url, body, headers) as response:
            return response.status_code

    async def get(self, url: str, bytes_max: int) -> bytes:
        """What is there.

        Raises:
            CallFailed: nothing, or more than that, or the address may not be called.
        """
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        async with self._opened("GET", url, b"", headers) as response:
            if response.status_code != _OK:
                raise CallFailed(f"{url} answers with status {response.status_code}", is_theirs=True)
            return await _body(response, bytes_max, url)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], bytes_max: int) -> tuple[int, bytes]:
        """The status of the answer, and what it says.

        Raises:
            CallFailed: there is none, or it is longer than that, or the address may not be called.
        """
        async with self._opened("POST", url, body, {**headers, "accept-encoding": "identity"}) as response:
            return response.status_code, await _body(response, bytes_max, url)

    @asynccontextmanager
    async def _opened(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """The answer, of which only the head has been read, and time for reading the rest."""
        try:
            async with asyncio.timeout(self._timeout_s):
                response = await self._open(method, url, body, headers)
                try:
                    yield response
                finally:
                    await response.aclose()
        except TimeoutError:
            raise CallFailed(f"there was no answer within {self._timeout_s:g} seconds", is_theirs=False) from None

    async def _open(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
            address = await self._address(host, port, parts.scheme)
            target = httpx.URL(url).copy_with(host=address)
            # Name and certificate are those of the host, whatever its address.
            named = {**headers, "host": parts.netloc}
            sni = {"sni_hostname": host}
            request = self._client.build_request(method, target, content=body, headers=named, extensions=sni)
        except (ValueError, httpx.InvalidURL):
            # Many things can be wrong with a URL, and libraries find them in different places.
            raise CallFailed("the URL cannot be called", is_theirs=True) from None
        try:
            return await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise CallFailed(f"{host} cannot be reached: {type(error).__name__}", is_theirs=False) from None

    async def _address(self, host: str, port: int, scheme: str) -> str:
        try:
            addresses = await self._resolve(host, port)
        except OSError:
            addresses = ()
        if not addresses:
            raise CallFailed(f"{host} has no address", is_theirs=True)
        if not all(self._allowed.allow(address) for address in addresses):
            raise CallFailed(
                f"{host} has an address that must not be called: neither public nor one that the operator allows",
                is_theirs=True,
            )
        if scheme != "https" and not all(self._allowed.is_ours(address) for address in addresses):
            raise CallFailed(f"{host} must be called by https", is_theirs=True)
        return addresses[0]


async def _body(response: httpx.Response, bytes_max: int, url: str) -> bytes:
    chunks, size = [], 0
    try:
        # As it was sent: what is small as it travels may be anything once it is unpacked.
        async for chunk in response.aiter_raw():
            size += len(chunk)
            if size > bytes_max:
                raise CallFailed(f"{url} answers with more than {bytes_max} bytes", is_theirs=True)
            chunks.append(chunk)
    except httpx.HTTPError as error:
        raise CallFailed(f"{url} broke off: {type(error).__name__}", is_theirs=False) from None
    return b"".join(chunks)
