"""Tokens of issuers: the good ones say what they say, and none of the tricks works."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, KeySet, RSAKey

from perdure.auth.oidc.issuers import KEYS_NS, LOOK_NS, FetchFailed, Issuers, check_issuer
from perdure.auth.oidc.tokens import TokenRefused, verified
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.errors import InvalidArgument
from tests.unit.auth.oidc.issuer import AUDIENCE, ISSUER, JWKS, Issuer

NOW_S = 1_700_000_000
#: Of a character, which JSON can say and UTF-8 cannot.
HALF = "\ud800"


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock(NOW_S * SECOND_NS)


@pytest.fixture
def issuer() -> Issuer:
    return Issuer(NOW_S)


@pytest.fixture
def issuers(issuer: Issuer, clock: VirtualClock) -> Issuers:
    return Issuers(issuer.fetch, clock)


async def test_a_good_token_says_whose_it_is(issuer: Issuer, issuers: Issuers) -> None:
    claims = await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])
    assert claims["sub"] == "repo:acme/orders"
    await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])
    assert len(issuer.fetched) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example"},
        {"iss": None},
        {"aud": "other"},
        {"aud": None},
        {"aud": []},
        {"aud": {"perdure": 1}},
        {"aud": [AUDIENCE, "other"], "azp": "other"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"exp": None},
        {"exp": NOW_S - 61},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": NOW_S + 10**9},
        {"iat": NOW_S + 61},
        {"nbf": NOW_S + 61},
        {"jti": HALF},
        {"sub": HALF},
        {"else": [{"deep": {HALF: 1}}]},
    ],
    ids=str,
)
async def test_claims_that_are_not_right(issuer: Issuer, issuers: Issuers, changes: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        await issuers.claims(issuer.token(**changes), ISSUER, [AUDIENCE])


async def test_why_a_token_is_refused_can_be_written_down(issuer: Issuer, issuers: Issuers) -> None:
    with pytest.raises(TokenRefused) as refused:
        await issuers.claims(issuer.token(RSAKey.generate_key(2048, {"kid": HALF})), ISSUER, [AUDIENCE])
    assert str(refused.value).encode()


async def test_signatures_that_are_not_the_issuers(issuer: Issuer, issuers: Issuers) -> None:
    stranger = RSAKey.generate_key(2048, {"kid": "first"})
    public = issuer.keys[0].as_pem(private=False)
    head, body = (json.dumps(part).encode() for part in ({"alg": "HS256", "kid": "first"}, issuer.claims()))
    signed = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in (head, body))
    shared = base64.urlsafe_b64encode(hmac.new(public, signed, hashlib.sha256).digest()).rstrip(b"=")
    good = issuer.token()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    for token in (
        issuer.token(stranger),
        f"{signed.decode()}.{shared.decode()}",
        f"{none}.{good.split('.')[1]}.",
        f"{none}.{good.split('.')[1]}.{good.split('.')[2]}",
        good[:-4] + "AAAA",
        ".".join([good.split(".")[0], issuer.token(sub="root").split(".")[1], good.split(".")[2]]),
    ):
        with pytest.raises(TokenRefused):
            await issuers.claims(token, ISSUER, [AUDIENCE])


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(["e30", "", "é", "AAAA", "W10", "eyJhbGciOiJSUzI1NiJ9"])).map(".".join)
)
def test_what_is_no_token(text: str) -> None:
    with pytest.raises(TokenRefused):
        verified(text, KeySet([_KEY]), ISSUER, [AUDIENCE], NOW_S)


_KEY = ECKey.generate_key("P-256", {"kid": "e"})


async def test_a_new_key_is_looked_for_but_not_all_the_time(
    issuer: Issuer, issuers: Issuers, clock: VirtualClock
) -> None:
    await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])
    issuer.keys.insert(0, _KEY)
    with pytest.raises(TokenRefused):
        await issuers.claims(issuer.token(alg="ES256"), ISSUER, [AUDIENCE])
    assert issuer.fetched.count(JWKS) == 1
    clock.advance(LOOK_NS)
    await issuers.claims(issuer.token(alg="ES256"), ISSUER, [AUDIENCE])
    for _ in range(3):
        with pytest.raises(TokenRefused):
            await issuers.claims(issuer.token(RSAKey.generate_key(2048, {"kid": "no"})), ISSUER, [AUDIENCE])
    assert issuer.fetched.count(JWKS) == 2


async def test_a_key_that_was_taken_back_ends(issuer: Issuer, issuers: Issuers, clock: VirtualClock) -> None:
    old = issuer.token(exp=NOW_S + 8 * 3600)
    await issuers.claims(old, ISSUER, [AUDIENCE])
    issuer.keys = [_KEY]
    await issuers.claims(old, ISSUER, [AUDIENCE])
    clock.advance(KEYS_NS)
    with pytest.raises(TokenRefused):
        await issuers.claims(old, ISSUER, [AUDIENCE])


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://other.example", "jwks_uri": JWKS},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": JWKS, "authorization_endpoint": f"{ISSUER}/{HALF}"},
        {"issuer": ISSUER, "jwks_uri": "http://169.254.169.254/keys"},
        {"issuer": ISSUER, "jwks_uri": ["x"]},
        {"issuer": ISSUER, "jwks_uri": JWKS, "token_endpoint": "file:///etc/passwd"},
        {},
    ],
    ids=str,
)
async def test_issuers_that_are_not_what_they_should_be(
    issuer: Issuer, issuers: Issuers, document: dict[str, Any]
) -> None:
    issuer.document = document
    with pytest.raises(FetchFailed):
        await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])


async def test_an_issuer_that_is_away_is_not_taken_for_a_bad_token(issuer: Issuer, issuers: Issuers) -> None:
    issuer.away = True
    with pytest.raises(FetchFailed):
        await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])
    issuer.away = False
    await issuers.claims(issuer.token(), ISSUER, [AUDIENCE])


def test_urls_of_issuers() -> None:
    for good in (ISSUER, "https://issuer.example/tenant/1", "http://localhost:8080"):
        check_issuer(good, "issuer")
    for bad in (
        "",
        "issuer",
        "http://issuer.example",
        "https://u@issuer.example",
        f"{ISSUER}?a=1",
        "https://[",
        f"{ISSUER}#a",
    ):
        with pytest.raises(InvalidArgument, match="issuer"):
            check_issuer(bad, "issuer")
