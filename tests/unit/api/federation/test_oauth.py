"""The token endpoint: forms as RFC 8693 has them, as an OAuth library sends them, and as nobody should."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client

from perdure.api.federation.oauth import ACCESS_TOKEN, BODY_BYTES_MAX, GRANT_TYPE, PATH
from perdure.kernel.limits import ControlLimits
from tests.support.control_plane import control_bench
from tests.support.federation import FederationBench

JWT = "urn:ietf:params:oauth:token-type:jwt"


def _transport(bench: Any) -> httpx.ASGITransport:
    return httpx.ASGITransport(bench.control_plane.mounts[PATH], client=("192.0.2.1", 1234))


@pytest.fixture
async def client(bench: FederationBench) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=_transport(bench.bench), base_url="https://perdure") as client:
        yield client


@pytest.fixture
async def form(bench: FederationBench) -> dict[str, str]:
    machine, _ = await bench.bench.service_account(bench.owner)
    return {
        "grant_type": GRANT_TYPE,
        "audience": await bench.trust(machine),
        "subject_token": bench.token(),
        "subject_token_type": JWT,
    }


async def test_a_form(bench: FederationBench, client: httpx.AsyncClient, form: dict[str, str]) -> None:
    answer = await client.post(PATH, data={**form, "scope": "whatever", "requested_token_type": ACCESS_TOKEN})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    given = answer.json()
    assert given.keys() == {"access_token", "issued_token_type", "token_type", "expires_in"}
    assert (given["issued_token_type"], given["token_type"], given["expires_in"]) == (ACCESS_TOKEN, "Bearer", 600)
    await bench.bench.access.watch.look()
    who = await bench.bench.call(given["access_token"], "GetCurrentIdentity")
    assert who.HasField("service_account")


async def test_a_library(bench: FederationBench, form: dict[str, str]) -> None:
    """Which checks the answer, too."""
    async with AsyncOAuth2Client(
        token_endpoint_auth_method="none", client_id="ci", transport=_transport(bench.bench)
    ) as library:
        token = await library.fetch_token(f"https://perdure{PATH}", **form)
    assert token["token_type"] == "Bearer"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": None}, "unsupported_grant_type"),
        ({"subject_token": "x.y.z"}, "invalid_request"),
        ({"subject_token": None}, "invalid_request"),
        ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
        ({"audience": "0" * 32}, "invalid_request"),
        ({"audience": None}, "invalid_request"),
        ({"actor_token": "x"}, "invalid_request"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}, "invalid_request"),
        ({f"field{number}": "x" for number in range(30)}, "invalid_request"),
    ],
)
async def test_what_is_wrong(
    client: httpx.AsyncClient, form: dict[str, str], changes: dict[str, str | None], error: str
) -> None:
    sent = {name: value for name, value in {**form, **changes}.items() if value is not None}
    answer = await client.post(PATH, data=sent)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert form["subject_token"] not in answer.text


async def test_an_unknown_trust_is_answered_as_a_wrong_token(client: httpx.AsyncClient, form: dict[str, str]) -> None:
    one = await client.post(PATH, data={**form, "audience": "0" * 32})
    other = await client.post(PATH, data={**form, "subject_token": "x.y.z"})
    assert (one.status_code, one.json()) == (other.status_code, other.json())


async def test_what_is_no_form(client: httpx.AsyncClient, form: dict[str, str]) -> None:
    as_form = {"content-type": "application/x-www-form-urlencoded"}
    assert (await client.post(PATH, json=form)).status_code == 400
    assert (await client.post(PATH, content=b"\xff\xfe", headers=as_form)).status_code == 400
    assert (await client.post(PATH, content=b"grant_type=%ff", headers=as_form)).status_code == 400
    assert (await client.post(PATH, content=b"audience=a&audience=b", headers=as_form)).status_code == 400
    large = await client.post(PATH, content=b"x" * (BODY_BYTES_MAX + 1), headers=as_form)
    assert (large.status_code, large.json()["error"]) == (413, "invalid_request")
    assert (await client.post(PATH, data=form, headers={"x": "x" * 20_000})).status_code == 413
    wrong = await client.get(PATH)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert (await client.post(f"{PATH}/x", data=form)).status_code == 404


async def test_too_often(database_url: str) -> None:
    async with (
        control_bench(database_url, ControlLimits(anonymous_requests_per_second=2)) as bench,
        httpx.AsyncClient(transport=_transport(bench), base_url="https://perdure") as client,
    ):
        sent = {"grant_type": GRANT_TYPE, "audience": "x", "subject_token": "x", "subject_token_type": JWT}
        answers = [await client.post(PATH, data=sent) for _ in range(4)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["retry-after"] == "1"
