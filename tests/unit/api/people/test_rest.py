"""IdentityService over HTTP, from its annotations."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from perdure.api.services import IDENTITY_SERVICE
from perdure.infra.rest.application import RestApplication
from perdure.kernel.transcoding.routes import RouteTable, bindings_of
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, PASSWORD, WRONG

TABLE = RouteTable(bindings_of(IDENTITY_SERVICE))


@pytest.fixture
async def client(bench: ControlBench) -> AsyncIterator[httpx.AsyncClient]:
    handlers = {
        f"/{service.descriptor.full_name}/{name}": method.endpoint
        for service in bench.control_plane.services()
        for name, method in service.methods.items()
    }
    transport = httpx.ASGITransport(RestApplication(TABLE, handlers), client=("192.0.2.1", 1234))
    async with httpx.AsyncClient(transport=transport, base_url="http://perdure") as client:
        yield client


def test_every_rpc_has_a_path() -> None:
    assert {binding.rpc.name for binding in TABLE.bindings} == {method.name for method in IDENTITY_SERVICE.methods}


def test_no_secret_is_part_of_an_address() -> None:
    """Addresses end up in logs and histories."""
    secret = {"password", "new_password", "ticket", "code", "token", "email"}
    for binding in TABLE.bindings:
        fields = set(binding.rpc.input_type.fields_by_name)
        assert binding.body == "*" or not fields & secret, binding.rpc.name


async def test_from_the_form_to_the_end_of_the_session(bench: ControlBench, client: httpx.AsyncClient) -> None:
    form = {"email": ANN, "password": PASSWORD, "accountName": "Acme"}
    assert (await client.post("/identity/sign-up", json=form)).json() == {}
    request = {"ticket": await bench.mailed(ANN), "password": PASSWORD}
    token = (await client.post("/identity/verify-email", json=request)).json()["signedIn"]["token"]
    me = {"authorization": f"Bearer {token}"}
    assert (await client.get("/identity/person", headers=me)).json()["email"] == ANN
    settings = (await client.get("/identity/account-settings", headers=me)).json()
    assert settings["settings"] == {"name": "Acme"}
    session_id = (await client.get("/identity/sessions", headers=me)).json()["sessions"][0]["id"]
    assert (await client.delete(f"/identity/sessions/{session_id}", headers=me)).status_code == 200
    await bench.access.watch.look()
    assert (await client.get("/identity/person", headers=me)).status_code == 401


async def test_refusals(bench: ControlBench, client: httpx.AsyncClient) -> None:
    answer = await client.post("/identity/sign-in", json={"email": ANN, "password": WRONG})
    assert (answer.status_code, answer.headers["cache-control"]) == (401, "no-store")
    assert (await client.post("/identity/sign-in", json={"email": "?"})).status_code == 400
    assert (await client.get("/identity/person")).status_code == 401
    cross = {"sec-fetch-site": "cross-site"}
    assert (await client.post("/identity/sign-out", json={}, headers=cross)).status_code == 403
