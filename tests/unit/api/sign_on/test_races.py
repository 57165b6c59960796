"""Several at once, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from perdure.kernel.limits import ControlLimits
from tests.support import oidc_provider
from tests.support.control_plane import ControlBench, control_bench
from tests.support.oidc_provider import OidcProvider
from tests.support.people import sign_up
from tests.support.postgres import PostgresForTests
from tests.support.sign_on import Browser, call
from tests.unit.api.sign_on.conftest import Acme, reach

BOB = "bob@acme.example"


@pytest.fixture(params=["sqlite", "postgres"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[ControlBench]:
    if request.param == "sqlite":
        url = f"sqlite:///{request.getfixturevalue('tmp_path')}/control-plane.db"
    else:
        postgres: PostgresForTests = request.getfixturevalue("postgres")
        (url,) = postgres.new(1).values()
    async with control_bench(url, ControlLimits(anonymous_requests_per_second=10_000)) as running:
        yield running


@pytest.fixture
async def acme(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> Acme:
    provider = OidcProvider(bench.runtime.clock)
    reach(bench, provider, monkeypatch)
    owner = await sign_up(bench, "ann@acme.example")
    made = await call(bench, owner.token, "CreateSignOnConnection", {"spec": oidc_provider.spec()})
    return Acme(bench, provider, owner, made.connection.id)


async def test_two_who_come_for_the_first_time_at_once_are_one_user(acme: Acme) -> None:
    tokens = [each.token for each in await asyncio.gather(*(acme.sign_on(BOB) for _ in range(3)))]
    assert len(set(tokens)) == 3
    assert set(await acme.users()) == {acme.owner.email, BOB}


async def test_of_one_answer_that_is_brought_twice_one_counts(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    answers: list[httpx.Response] = await asyncio.gather(*(browser.open(back) for _ in range(4)))
    assert sorted(each.status_code for each in answers) == [303, 403, 403, 403]


async def test_two_admins_at_once_are_told(acme: Acme) -> None:
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    requests = [
        {
            "connectionId": acme.connection_id,
            "resourceVersion": shown.resource_version,
            "spec": oidc_provider.spec(displayName=name),
        }
        for name in ("One", "Two")
    ]
    outcomes = await asyncio.gather(
        *(acme.call("UpdateSignOnConnection", each) for each in requests), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Aborted", "UpdateSignOnConnectionResponse"]
