"""Against a provider that others have written, over the network and through the guard of addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from oidc_provider_mock import run_server_in_thread

from perdure.api.outgoing.addresses import AllowedAddresses
from perdure.api.outgoing.calls import GuardedCalls
from tests.support.control_plane import ControlBench, control_bench
from tests.support.oidc_provider import spec
from tests.support.people import sign_up
from tests.support.sign_on import Browser, call

BOB = "bob@acme.example"
GROUPS = {
    "groupsClaim": "groups",
    "groupMappings": [{"group": "engineers", "access": {"accountRole": "developer"}}],
}


@pytest.fixture
async def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ControlBench]:
    """It lives by the same clock as the provider, which is on this machine."""
    calls = GuardedCalls(AllowedAddresses(["127.0.0.0/8", "::1/128"]))
    async with control_bench(f"sqlite:///{tmp_path}/control-plane.db") as running:
        monkeypatch.setattr(running.control_plane.calls, "get", calls.get)
        monkeypatch.setattr(running.control_plane.calls, "post", calls.post)
        yield running
    await calls.aclose()


async def test_from_the_question_to_the_session(bench: ControlBench) -> None:
    owner = await sign_up(bench, "ann@acme.example")
    with run_server_in_thread(require_nonce=True) as server:
        issuer = f"http://localhost:{server.server_port}"
        provider = {"issuer": issuer, "clientId": "perdure", "clientSecret": "secret"}
        described = spec(oidc=provider, **GROUPS)
        made = await call(bench, owner.token, "CreateSignOnConnection", {"spec": described})
        async with httpx.AsyncClient() as people:
            claims = {"email": BOB, "email_verified": True, "groups": ["engineers"]}
            await people.put(f"{issuer}/users/bob", json=claims)
            browser = Browser(bench)
            pending_id = await browser.begin(owner.account_id)
            url = await browser.set_out(made.connection.id, pending_id)
            back = (await people.post(url, data={"sub": "bob"})).headers["location"]
            answer = await browser.open(back)
            assert answer.status_code == 303, answer.text
            token = (await browser.exchange(pending_id)).token
            denied = await browser.set_out(made.connection.id, await browser.begin(owner.account_id))
            back = (await people.post(denied, data={"action": "deny"})).headers["location"]
            assert (await browser.open(back)).status_code == 403
    assert (await bench.person("GetPerson", {}, token)).email == BOB
    users = {each.spec.email: each for each in (await bench.call(owner.token, "GetUsers")).users}
    assert users[BOB].spec.access.account_access.role_deprecated == "developer"
