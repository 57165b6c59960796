"""Who signs tokens, and with which keys: looked up where the issuer says so, and remembered.

After OpenID Connect Discovery 1.0.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from perdure.auth.oidc.documents import read_object
from perdure.auth.oidc.tokens import Claims, UnknownKey, verified
from perdure.auth.web_addresses import is_safe
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.errors import InvalidArgument

DISCOVERY_PATH = "/.well-known/openid-configuration"
#: How long keys are believed to be the issuer's without another look: one that it has taken back is good for so long.
KEYS_NS = 3600 * SECOND_NS
#: For a key that is not known the issuer is asked again, but not more often than this.
LOOK_NS = 30 * SECOND_NS
ISSUERS_MAX = 1000
URL_LENGTH_MAX = 2048
_KEYS_MAX = 100


class FetchFailed(Exception):
    """What was asked for could not be had; the message says why."""


#: Gets what is behind a URL that somebody else has chosen, a document of moderate size. Raises FetchFailed.
Fetch = Callable[[str], Awaitable[bytes]]


@dataclass(frozen=True, slots=True)
class Discovered:
    """What an issuer says of itself; `client_methods` are those by which clients show that it is them."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    client_methods: tuple[str, ...] = ()


@dataclass(slots=True)
class _Issuer:
    """What is remembered of one."""

    discovered: Discovered
    keys: KeySet
    looked_at_ns: int


def check_issuer(url: str, field: str) -> None:
    """Raises InvalidArgument: it is not the URL of an issuer."""
    if len(url) > URL_LENGTH_MAX:
        raise InvalidArgument(f"{field}: is longer than {URL_LENGTH_MAX} characters.")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.username or parts.query or parts.fragment or not is_safe(parts.scheme, host):
        raise InvalidArgument(f"{field}: must be an https URL without credentials, query and fragment.")


class Issuers:
    """All issuers that this process has met. Of one, one look is on its way at a time."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._known: dict[str, _Issuer] = {}
        self._looking: dict[str, asyncio.Future[_Issuer]] = {}

    async def discover(self, issuer: str) -> Discovered:
        """Raises FetchFailed: it cannot be had, or is not what it should be."""
        return (await self._find(issuer)).discovered

    async def claims(self, token: str, issuer: str, audiences: Collection[str]) -> Claims:
        """What a token of this issuer says.

        Raises:
            TokenRefused: it is not good.
            FetchFailed: nobody can tell, since the issuer's keys cannot be had.
        """
        known = await self._find(issuer)
        now_s = self._clock.now_ns() / SECOND_NS
        try:
            return verified(token, known.keys, issuer, audiences, now_s)
        except UnknownKey:
            if self._clock.now_ns() - known.looked_at_ns < LOOK_NS:
                raise
        # Issuers change their keys and announce that nowhere.
        known = await self._look(issuer)
        return verified(token, known.keys, issuer, audiences, now_s)

    async def _find(self, issuer: str) -> _Issuer:
        known = self._known.get(issuer)
        if known is not None and 0 <= self._clock.now_ns() - known.looked_at_ns < KEYS_NS:
            return known
        return await self._look(issuer)

    async def _look(self, issuer: str) -> _Issuer:
        looking = self._looking.get(issuer)
        if looking is None:
            looking = self._looking[issuer] = asyncio.ensure_future(self._read(issuer))
            looking.add_done_callback(lambda _: self._looking.pop(issuer, None))
        # Whoever gives up must not take the others along.
        return await asyncio.shield(looking)

    async def _read(self, issuer: str) -> _Issuer:
        document = _object(await self._fetch(issuer.rstrip("/") + DISCOVERY_PATH), "the discovery document")
        if document.get("issuer") != issuer:
            raise FetchFailed(f"the issuer calls itself {document.get('issuer')!r}, not {issuer}")
        discovered = Discovered(
            issuer,
            _url(document, "authorization_endpoint"),
            _url(document, "token_endpoint"),
            _url(document, "jwks_uri"),
            _names(document.get("token_endpoint_auth_methods_supported")),
        )
        keys = _keys(_object(await self._fetch(discovered.jwks_uri), "the list of keys"))
        if len(self._known) >= ISSUERS_MAX:
            self._known.clear()
        known = self._known[issuer] = _Issuer(discovered, keys, self._clock.now_ns())
        return known


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        return read_object(data)
    except ValueError as error:
        raise FetchFailed(f"{what} {error}") from None


def _url(document: dict[str, Any], name: str) -> str:
    url = document.get(name, "")
    # Issuers of machines' tokens have keys and nothing else.
    if not url and name != "jwks_uri":
        return ""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except (ValueError, AttributeError, TypeError):
        host = None
    if not host or len(url) > URL_LENGTH_MAX or not is_safe(parts.scheme, host):
        raise FetchFailed(f"{name} is not an https URL")
    return str(url)


def _names(listed: Any) -> tuple[str, ...]:
    return tuple(each for each in listed if isinstance(each, str)) if isinstance(listed, list) else ()


def _keys(document: dict[str, Any]) -> KeySet:
    listed = document.get("keys")
    if not isinstance(listed, list):
        raise FetchFailed("the list of keys has none")
    usable = [each for each in listed[:_KEYS_MAX] if isinstance(each, dict) and each.get("kty") in ("RSA", "EC", "OKP")]
    found = []
    for each in usable:
        # Of keys of a kind that nobody here knows another one may be used.
        try:
            found += KeySet.import_key_set({"keys": [each]}).keys
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not found:
        raise FetchFailed("the list of keys has none that can be used")
    return KeySet(found)
