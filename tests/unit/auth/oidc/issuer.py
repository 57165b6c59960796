"""An issuer of tokens that is nowhere but in memory."""

from __future__ import annotations

import json
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, KeySet, RSAKey

from perdure.auth.oidc.issuers import DISCOVERY_PATH, FetchFailed

ISSUER = "https://issuer.example"
AUDIENCE = "perdure"
JWKS = f"{ISSUER}/keys"


class Issuer:
    """`fetch` is what gets its documents; `fetched` says which were asked for."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.keys: list[RSAKey | ECKey] = [RSAKey.generate_key(2048, {"kid": "first"})]
        self.fetched: list[str] = []
        self.document: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": JWKS,
        }
        self.away = False

    async def fetch(self, url: str) -> bytes:
        self.fetched.append(url)
        if self.away:
            raise FetchFailed("nobody answers")
        if url == ISSUER + DISCOVERY_PATH:
            return json.dumps(self.document).encode()
        assert url == JWKS
        return json.dumps(KeySet(self.keys).as_dict(private=False)).encode()

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a good token; a change of None leaves one out."""
        good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/orders", "exp": self.now_s + 600, "iat": self.now_s}
        return {name: value for name, value in {**good, **changes}.items() if value is not None}

    def token(self, key: RSAKey | ECKey | None = None, alg: str = "RS256", **changes: Any) -> str:
        key = key or self.keys[0]
        # JSON in ASCII, which can say what is no text.
        said = json.dumps(self.claims(**changes))
        return jws.serialize_compact({"alg": alg, "kid": key.kid, "typ": "JWT"}, said, key, algorithms=[alg])
