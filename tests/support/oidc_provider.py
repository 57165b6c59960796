"""An OpenID Connect provider that does what it is told, right or wrong. It shares no code with what is tested but the
library that signs.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jws
from joserfc.jwk import KeySet, RSAKey

from perdure.kernel.clock import Clock

ISSUER = "https://login.acme.example"
CLIENT_ID, CLIENT_SECRET = "perdure", "the-client-secret-of-acme"


@dataclass
class Asked:
    """An authorization request."""

    redirect_uri: str
    state: str
    nonce: str
    challenge: str

    @classmethod
    def of(cls, url: str) -> Asked:
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        assert (query["response_type"], query["client_id"]) == ("code", CLIENT_ID)
        assert query["code_challenge_method"] == "S256"
        return cls(query["redirect_uri"], query["state"], query["nonce"], query["code_challenge"])


@dataclass
class OidcProvider:
    """`claims` are added to all tokens, and replace those that would be there; None leaves one out."""

    clock: Clock
    issuer: str = ISSUER
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048, {"kid": "first"}))
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=dict)
    methods: list[str] = field(default_factory=lambda: ["client_secret_basic"])
    codes: dict[str, tuple[Asked, dict[str, Any]]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=count)
    signs_with: Any = None
    published: list[RSAKey] | None = None
    is_away: bool = False

    def sign_in(self, url: str, email: str, **claims: Any) -> str:
        """Somebody signs in where the browser was sent; where it is sent back to."""
        asked = Asked.of(url)
        code = f"code-{next(self.numbers)}"
        self.codes[code] = (asked, {"email": email, **claims})
        return f"{asked.redirect_uri}?code={code}&state={asked.state}"

    async def get(self, url: str, bytes_max: int) -> bytes:
        """In the place of `GuardedCalls.get`."""
        from perdure.api.outgoing.calls import CallFailed

        if self.is_away:
            raise CallFailed(f"{url} does not answer", is_theirs=False)
        if url == f"{self.issuer}/.well-known/openid-configuration":
            document = {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
                "token_endpoint_auth_methods_supported": self.methods,
            }
            return json.dumps(document).encode()
        assert url == f"{self.issuer}/keys"
        return json.dumps(KeySet(self.published or [self.key]).as_dict(private=False)).encode()

    async def post(self, url: str, body: bytes, headers: dict[str, str], bytes_max: int) -> tuple[int, bytes]:
        """In the place of `GuardedCalls.post`: the token endpoint."""
        assert url == f"{self.issuer}/token"
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        if not self._is_client(form, headers):
            return 401, b'{"error": "invalid_client"}'
        asked, claims = self.codes.pop(form.get("code", ""), (None, {}))
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if asked is None or challenge.rstrip(b"=").decode() != asked.challenge:
            return 400, b'{"error": "invalid_grant", "error_description": "secret details"}'
        if form.get("redirect_uri") != asked.redirect_uri:
            return 400, b'{"error": "invalid_grant"}'
        access_token = "an access token"
        token = self.token(asked.nonce, access_token, claims)
        return 200, json.dumps({"access_token": access_token, "token_type": "Bearer", "id_token": token}).encode()

    def token(self, nonce: str, access_token: str, claims: dict[str, Any]) -> str:
        now_s = self.clock.now_ns() // 10**9
        left = hashlib.sha256(access_token.encode()).digest()[:16]
        said = {
            "iss": self.issuer,
            "aud": CLIENT_ID,
            "sub": "subject",
            "iat": now_s,
            "exp": now_s + 300,
            "nonce": nonce,
            "at_hash": base64.urlsafe_b64encode(left).rstrip(b"=").decode(),
            "email_verified": True,
            **claims,
            **self.claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        header = {"alg": "RS256", "kid": self.key.kid, **self.header}
        if header["alg"] in ("none", "HS256"):
            return self._unsigned(header, said)
        key = self.signs_with or self.key
        return jws.serialize_compact({"typ": "JWT", **header}, json.dumps(said), key, algorithms=[header["alg"]])

    def _unsigned(self, header: dict[str, Any], claims: dict[str, Any]) -> str:
        """The oldest tricks: no signature, and one with the public key as if it were a shared one. No library helps."""
        encoded = b".".join(_base64(json.dumps(each).encode()) for each in (header, claims))
        secret = self.key.as_pem(private=False)
        signature = _base64(hmac.digest(secret, encoded, "sha256")) if header["alg"] == "HS256" else b""
        return (encoded + b"." + signature).decode()

    def _is_client(self, form: dict[str, str], headers: dict[str, str]) -> bool:
        if "client_secret_basic" in self.methods:
            shown = headers.get("Authorization", "").removeprefix("Basic ")
            return base64.b64decode(shown).decode() == f"{CLIENT_ID}:{CLIENT_SECRET}"
        return (form.get("client_id"), form.get("client_secret")) == (CLIENT_ID, CLIENT_SECRET)


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def spec(**changes: Any) -> dict[str, Any]:
    """Of a connection to it; a change of None leaves something out."""
    described = {
        "displayName": "Acme login",
        "oidc": {"issuer": ISSUER, "clientId": CLIENT_ID, "clientSecret": CLIENT_SECRET},
        "emailDomains": ["acme.example"],
        "createsUsers": True,
        "defaultAccess": {"accountRole": "read"},
        **changes,
    }
    return {name: value for name, value in described.items() if value is not None}
