"""OpenID Connect: code flow with PKCE. Requests are made as Authlib does, tokens are `perdure.auth.oidc`'s."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri, prepare_token_request
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from perdure.api.outgoing.calls import CallFailed, GuardedCalls
from perdure.api.outgoing.fetching import DOCUMENT_BYTES_MAX, fetch_by
from perdure.api.protos import sign_on_pb2 as api
from perdure.api.sign_on.asserted import Asserted, of_claims
from perdure.api.sign_on.flows import Flow
from perdure.api.sign_on.refusals import NOT_REACHED, SignOnRefused
from perdure.auth.oidc.documents import read_object
from perdure.auth.oidc.issuers import Discovered, FetchFailed, Issuers
from perdure.auth.oidc.sign_in import check_sign_in
from perdure.auth.oidc.tokens import TokenRefused
from perdure.kernel.clock import Clock

#: Somebody waits in front of his browser meanwhile.
TIMEOUT_S: Final = 8.0
_SCOPE: Final = "openid email profile"
_OK: Final = 200
#: In the order in which they are taken if the provider knows them. It need not say, and knows the first then.
_BASIC, _POST, _NONE = "client_secret_basic", "client_secret_post", "none"
_ERROR_LENGTH_MAX: Final = 100


class OidcClient:
    """Of all connections: what is known of their issuers is remembered."""

    def __init__(self, calls: GuardedCalls, clock: Clock) -> None:
        self._calls = calls
        self._issuers = Issuers(fetch_by(calls, TIMEOUT_S), clock)

    async def authorization_url(self, provider: api.OidcProvider, flow: Flow, redirect_uri: str) -> str:
        """Where somebody signs in.

        Raises:
            SignOnRefused: the provider does not say where.
        """
        discovered = await self._discovered(provider.issuer)
        url: str = prepare_grant_uri(
            discovered.authorization_endpoint,
            provider.client_id,
            "code",
            redirect_uri=redirect_uri,
            scope=_SCOPE,
            state=flow.id,
            nonce=flow.nonce,
            code_challenge=create_s256_code_challenge(flow.verifier),
            code_challenge_method="S256",
        )
        return url

    async def asserted(
        self, spec: api.SignOnConnectionSpec, secret: str, flow: Flow, redirect_uri: str, code: str, issuer: str
    ) -> Asserted:
        """Who has signed in, for whom the browser has brought this code, from this issuer if that is said.

        Raises:
            SignOnRefused: that is not certain.
        """
        provider = spec.oidc
        if issuer and issuer != provider.issuer:
            raise SignOnRefused("The answer is of another issuer (RFC 9207).")
        answer = await self._exchange(provider, secret, flow, redirect_uri, code)
        token, access_token = answer.get("id_token"), answer.get("access_token", "")
        if not isinstance(token, str) or not isinstance(access_token, str):
            raise SignOnRefused("The provider answers the code without an ID token: is the scope openid allowed?")
        try:
            claims = await self._issuers.claims(token, provider.issuer, [provider.client_id])
            check_sign_in(token, claims, provider.client_id, flow.nonce, access_token)
        except TokenRefused as error:
            raise SignOnRefused(f"The ID token is not accepted: {error}.") from None
        except FetchFailed as error:
            raise SignOnRefused(f"The provider's keys cannot be had: {error}.", NOT_REACHED) from None
        return of_claims(spec, claims)

    async def _exchange(
        self, provider: api.OidcProvider, secret: str, flow: Flow, redirect_uri: str, code: str
    ) -> dict[str, Any]:
        discovered = await self._discovered(provider.issuer)
        headers = {"content-type": "application/x-www-form-urlencoded", "accept": "application/json"}
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=flow.verifier
        )
        client = ClientAuth(provider.client_id, secret, _client_method(discovered, secret))
        url, headers, body = client.prepare("POST", discovered.token_endpoint, headers, body)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                status, content = await self._calls.post(url, body.encode(), headers, DOCUMENT_BYTES_MAX)
        except TimeoutError:
            raise SignOnRefused(f"The provider did not answer within {TIMEOUT_S:g} seconds.", NOT_REACHED) from None
        except CallFailed as error:
            raise SignOnRefused(f"The provider cannot be asked about the code: {error}.", NOT_REACHED) from None
        answer = _object(content)
        if status != _OK:
            raise SignOnRefused(f"The provider refuses the code with status {status}: {shown_error(answer)}.")
        return answer

    async def _discovered(self, issuer: str) -> Discovered:
        try:
            discovered = await self._issuers.discover(issuer)
        except FetchFailed as error:
            raise SignOnRefused(f"The provider's discovery document cannot be used: {error}.", NOT_REACHED) from None
        if not discovered.authorization_endpoint or not discovered.token_endpoint:
            raise SignOnRefused("The provider's discovery document does not say where people sign in.")
        return discovered


def shown_error(answer: dict[str, Any]) -> str:
    """The error code of OAuth: that much of what a provider has sent is fit to be shown."""
    error = answer.get("error")
    if not isinstance(error, str) or not error.isascii() or not error.isprintable():
        return "no reason given"
    return error[:_ERROR_LENGTH_MAX]


def _client_method(discovered: Discovered, secret: str) -> str:
    if not secret:
        return _NONE
    known = discovered.client_methods
    return _POST if _POST in known and _BASIC not in known else _BASIC


def _object(content: bytes) -> dict[str, Any]:
    try:
        return read_object(content)
    except ValueError:
        return {}
