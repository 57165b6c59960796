"""People are told before what they connect with stops to be good: those whom it concerns, once."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perdure.api.expiry_mails import ExpiryMails
from perdure.api.people.mails import Links
from perdure.api.resources import kinds
from perdure.api.resources.user_states import DEACTIVATED
from perdure.auth.certificates.issuing import generate_authority
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.mailer import Mail
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.runtime import Runtime
from tests.support.control_plane import ControlBench, Owner, control_bench


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    async with control_bench(f"sqlite:///{tmp_path / 'c.db'}", runtime=Runtime()) as running:
        yield running


class _Mails:
    """What one process mails, on a clock of its own."""

    def __init__(self, bench: ControlBench) -> None:
        self.clock = VirtualClock(bench.runtime.clock.now_ns())
        self.sent: list[Mail] = []
        self._mails = ExpiryMails(
            bench.database, self.clock, lambda: Links("https://console.example"), self.sent.append
        )

    async def after(self, days: float) -> list[str]:
        """Who is mailed when so many more days have gone by."""
        self.clock.advance(int(days * DAY_NS))
        self.sent.clear()
        await self._mails.mail_all()
        return sorted(mail.to for mail in self.sent)


async def _key(bench: ControlBench, owner: Owner, owner_id: str, days: int) -> None:
    spec: dict[str, Any] = {"ownerId": owner_id, "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT", "displayName": "nightly"}
    await bench.done(owner.token, "CreateApiKey", {"spec": {**spec, "expiryTime": bench.time_in(days * DAY_NS)}})


async def _user(bench: ControlBench, owner: Owner, email: str, role: str, **namespaces: str) -> None:
    access = {
        "accountAccess": {"role": role},
        "namespaceAccesses": {name: {"permission": each} for name, each in namespaces.items()},
    }
    await bench.done(owner.token, "CreateUser", {"spec": {"email": email, "access": access}})
    # Whoever has not accepted yet is told nothing.
    async with bench.own_call(owner) as call:
        for row in await call.transaction.resources(owner.account_id, "user"):
            row.details = {key: value for key, value in row.details.items() if key != "invitation"}


async def test_of_a_machines_key_the_admins_are_told_once_for_each_time(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, _ = await bench.service_account(owner)
    await _key(bench, owner, machine, 45)
    await _user(bench, owner, "dev@example.com", "ROLE_DEVELOPER")
    # The two keys for a day are of those who made this.
    one, other = _Mails(bench), _Mails(bench)
    await one.after(2)
    assert await one.after(10) == []
    assert await one.after(3.5) == ["owner@example.com"]
    assert '"nightly"' in one.sent[0].text
    assert await one.after(1) == []
    assert await other.after(16) == [], "another process has told them"
    assert await other.after(10) == ["owner@example.com"]
    assert await one.after(20) == ["owner@example.com"]
    assert await one.after(10) == [], "it has ended"


async def test_of_a_key_of_his_own_somebody_is_told_himself(bench: ControlBench) -> None:
    await bench.account()
    mails = _Mails(bench)
    assert await mails.after(0) == ["owner@example.com"], "his key is for a day"


async def test_whoever_was_switched_off_is_told_nothing(bench: ControlBench) -> None:
    owner = await bench.account()
    async with bench.own_call(owner) as call:
        user = await call.transaction.resource(kinds.USER, owner.user_id)
        assert user is not None
        user.details = {**user.details, DEACTIVATED: True}
    assert await _Mails(bench).after(0) == []


async def test_of_a_certificate_the_admins_of_its_namespace_are_told(bench: ControlBench) -> None:
    owner = await bench.account()
    now = datetime.fromtimestamp(bench.runtime.clock.now_ns() // SECOND_NS, UTC)
    authority = generate_authority("Acme", timedelta(days=20), now)
    spec = {
        "name": "orders",
        "regions": ["local-1"],
        "retentionDays": 7,
        "mtlsAuth": {"enabled": True, "acceptedClientCa": _base64(authority.certificate_pem)},
    }
    made = await bench.done(owner.token, "CreateNamespace", {"spec": spec})
    name = made.namespace
    await _user(bench, owner, "admin@example.com", "ROLE_DEVELOPER", **{name: "PERMISSION_ADMIN"})
    await _user(bench, owner, "reader@example.com", "ROLE_DEVELOPER", **{name: "PERMISSION_READ"})
    mails = _Mails(bench)
    await mails.after(2)
    assert await mails.after(4) == ["admin@example.com", "owner@example.com"]
    assert name in mails.sent[0].subject
    assert await mails.after(1) == []
    assert await mails.after(4) == ["admin@example.com", "owner@example.com"]


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
