from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from perdure.kernel.clock import VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime
from tests.support import oidc_provider, sign_on
from tests.support.control_plane import ControlBench, control_bench
from tests.support.oidc_provider import OidcProvider
from tests.support.people import Person, sign_up
from tests.support.sign_on import Browser

#: The rate of calls without credentials is another test's.
LIMITS = ControlLimits(anonymous_requests_per_second=10_000)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    """Its clock stands still."""
    async with control_bench(
        f"sqlite:///{tmp_path}/control-plane.db", LIMITS, runtime=Runtime(clock=VirtualClock())
    ) as running:
        yield running


@dataclass
class Acme:
    """An account whose owner has set up a connection to its provider."""

    bench: ControlBench
    provider: OidcProvider
    owner: Person
    connection_id: str

    async def call(self, rpc: str, request: dict[str, Any] | None = None) -> Any:
        return await sign_on.call(self.bench, self.owner.token, rpc, request)

    async def update(self, spec: dict[str, Any]) -> Any:
        shown = (await self.call("GetSignOnConnection", {"connectionId": self.connection_id})).connection
        request = {"connectionId": self.connection_id, "resourceVersion": shown.resource_version, "spec": spec}
        return (await self.call("UpdateSignOnConnection", request)).connection

    async def sign_on(self, email: str, **claims: Any) -> Any:
        """From a program's question to its session."""
        browser = Browser(self.bench)
        pending_id = await browser.begin(self.owner.account_id)
        back = self.provider.sign_in(await browser.set_out(self.connection_id, pending_id), email, **claims)
        answer = await browser.open(back)
        assert (answer.status_code, answer.headers.get("location")) == (303, "/sign-in/done"), answer.text
        return await browser.exchange(pending_id)

    async def test(self, email: str, **claims: Any) -> Any:
        """What the connection shows of a test sign-in."""
        begun = await self.call("BeginTestSignIn", {"connectionId": self.connection_id})
        browser = Browser(self.bench)
        started = await browser.open(begun.url)
        assert started.status_code == 303, started.text
        await browser.open(self.provider.sign_in(started.headers["location"], email, **claims))
        return (await self.call("GetSignOnConnection", {"connectionId": self.connection_id})).connection.last_test

    async def enforce(self, *, required: bool = True) -> None:
        version = (await self.call("GetSignOnEnforcement")).resource_version
        await self.call("SetSignOnEnforcement", {"required": required, "resourceVersion": version})

    async def users(self) -> dict[str, Any]:
        listed = await self.bench.call(self.owner.token, "GetUsers")
        return {user.spec.email: user for user in listed.users}


@pytest.fixture
async def acme(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> Acme:
    provider = OidcProvider(bench.runtime.clock)
    reach(bench, provider, monkeypatch)
    owner = await sign_up(bench, "ann@acme.example")
    request = {"spec": oidc_provider.spec()}
    made = await sign_on.call(bench, owner.token, "CreateSignOnConnection", request)
    return Acme(bench, provider, owner, made.connection.id)


def reach(bench: ControlBench, provider: OidcProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider is nowhere in the network: what is asked of it is asked in memory."""
    calls = bench.control_plane.calls
    monkeypatch.setattr(calls, "get", provider.get)
    monkeypatch.setattr(calls, "post", provider.post)
