"""PURE: what makes a token that of one sign-in and no other, after OpenID Connect Core 3.1.3."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from hashlib import sha256, sha384, sha512
from typing import Any, Final

from perdure.auth.oidc.tokens import Claims, TokenRefused

#: By the end of the signature's algorithm.
_HASHES: Final[dict[str, Callable[..., Any]]] = {"256": sha256, "384": sha384, "512": sha512}


def check_sign_in(token: str, claims: Claims, client_id: str, nonce: str, access_token: str) -> None:
    """The token was verified, and these are its claims.

    Raises:
        TokenRefused: it answers another request, is for somebody else, or does not belong to the access token.
    """
    said = claims.get("nonce")
    if not isinstance(said, str) or not hmac.compare_digest(said.encode(), nonce.encode()):
        raise TokenRefused("it does not answer this request (nonce)")
    if claims.get("azp", client_id) != client_id:
        raise TokenRefused("it was made for another client (azp)")
    if "at_hash" in claims and claims["at_hash"] != _at_hash(token, access_token):
        raise TokenRefused("it does not belong to the access token (at_hash)")


def _at_hash(token: str, access_token: str) -> str:
    # It was verified, so it can be read.
    header = json.loads(urlsafe_b64decode(token.partition(".")[0] + "=="))
    algorithm = str(header.get("alg", ""))
    # Edwards curves of 255 bits have no number in their name, and sign with SHA-512.
    digest = _HASHES.get(algorithm[-3:], sha512)(access_token.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()
