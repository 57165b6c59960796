"""PURE: whether a token is what it says, and what it says.

After RFC 7519, RFC 8725 (best practice) and OpenID Connect Core 3.1.3.7.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet

from perdure.auth.oidc.documents import check_text

#: Signatures with a private key only: with a shared one, or none, whoever knows the public key could sign.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
TOKEN_LENGTH_MAX = 16 * 1024
#: What clocks may differ by.
LEEWAY_S = 60
#: A token that is good for longer was not made for signing in.
LIFETIME_S_MAX = 24 * 3600
_INSTANT_S_MAX = 10**11

Claims = Mapping[str, Any]


class TokenRefused(Exception):
    """The token is not good, and why: for logs and for whoever sets the trust up, not for whoever shows it."""


class UnknownKey(TokenRefused):
    """It is signed with a key that is not among those known. The issuer may have a new one."""


def verified(token: str, keys: KeySet, issuer: str, audiences: Collection[str], now_s: float) -> Claims:
    """What the token says.

    Raises:
        UnknownKey: see there.
        TokenRefused: it is broken, not signed by the issuer, for somebody else, or not of now.
    """
    if len(token) > TOKEN_LENGTH_MAX:
        raise TokenRefused(f"it has more than {TOKEN_LENGTH_MAX} characters")
    try:
        claims: Claims = jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims
    except InvalidKeyIdError as error:
        raise UnknownKey(_words(error)) from None
    except JoseError as error:
        raise TokenRefused(_words(error)) from None
    except (ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        # Parts of a token are read when they are asked for.
        raise TokenRefused(f"it cannot be read: {type(error).__name__}") from None
    try:
        check_text(claims)
    except ValueError as error:
        raise TokenRefused(f"it {error}") from None
    _check(claims, issuer, audiences, now_s)
    return claims


def _words(error: JoseError) -> str:
    """The library repeats what the token's header says, which may be no text."""
    return str(error).encode(errors="backslashreplace").decode()


def _check(claims: Claims, issuer: str, audiences: Collection[str], now_s: float) -> None:
    if claims.get("iss") != issuer:
        raise TokenRefused(f"it is of issuer {claims.get('iss')!r}, not of {issuer}")
    named = claims.get("aud")
    audience = [named] if isinstance(named, str) else named
    if not isinstance(audience, list) or not set(audiences) & {each for each in audience if isinstance(each, str)}:
        raise TokenRefused(f"it is for {named!r}, not for {' or '.join(audiences)}")
    if len(audience) > 1 and claims.get("azp", next(iter(audiences))) not in audiences:
        raise TokenRefused(f"it was made for {claims.get('azp')!r}")
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise TokenRefused("it does not say whose it is (sub)")
    expires_s, issued_s = _time(claims, "exp"), _time(claims, "iat")
    if expires_s is None:
        raise TokenRefused("it does not say until when it is good (exp)")
    if expires_s <= now_s - LEEWAY_S:
        raise TokenRefused("it has expired")
    if issued_s is not None and issued_s > now_s + LEEWAY_S:
        raise TokenRefused("it is of the future (iat)")
    if expires_s - (issued_s if issued_s is not None else now_s) > LIFETIME_S_MAX:
        raise TokenRefused(f"it is good for more than {LIFETIME_S_MAX} seconds")
    not_before_s = _time(claims, "nbf")
    if not_before_s is not None and not_before_s > now_s + LEEWAY_S:
        raise TokenRefused("it is not good yet (nbf)")


def _time(claims: Claims, name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TokenRefused(f"{name} is not a time")
    # JSON as it is read here knows infinity, and what is no number: nothing is earlier or later than that.
    if not -_INSTANT_S_MAX < value < _INSTANT_S_MAX:
        raise TokenRefused(f"{name} is not a time of any clock")
    return float(value)
