"""Nobody becomes an owner by waiting: sessions and keys by a connection that vouches for no owners end then."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel import errors
from perdure.kernel.namespace import DAY_NS
from tests.support.oidc_provider import spec
from tests.support.people import PASSWORD, invite
from tests.support.sign_on import Browser, call
from tests.unit.api.sign_on.conftest import Acme
from tests.unit.api.sign_on.test_connections import is_good, member

ALICE = "alice@acme.example"
_LATE = "not good any more"


class Plot:
    """A Global Admin has a connection to a provider of his own, by which he is Alice."""

    def __init__(self, acme: Acme, admin: str) -> None:
        self.acme = acme
        self.admin = admin

    async def key(self, session: str) -> Any:
        """An API key that is made in a session."""
        request = {"displayName": "k", "expiryTime": self.acme.bench.time_in(DAY_NS)}
        return await self.acme.bench.person("CreateUserApiKey", request, session)

    async def give(self, role: str) -> None:
        """By the owner, to Alice."""
        user = (await self.acme.users())[ALICE]
        described = {"email": ALICE, "access": {"accountAccess": {"role": role}}}
        request = {"userId": user.id, "resourceVersion": user.resource_version, "spec": described}
        await self.acme.bench.call(self.acme.owner.token, "UpdateUser", request)

    async def are_good(self, *tokens: str) -> list[bool]:
        return [await is_good(self.acme.bench, token) for token in tokens]


@pytest.fixture
async def plot(acme: Acme) -> Plot:
    admin = await member(acme.bench, acme.owner, "admin@acme.example", "ROLE_ADMIN")
    request = {"spec": spec(displayName="Mine")}
    made = await call(acme.bench, admin, "CreateSignOnConnection", request)
    assert not made.connection.vouches_for_owners
    acme.connection_id = made.connection.id
    return Plot(acme, admin)


@pytest.mark.parametrize("role", ["ROLE_OWNER", "ROLE_FINANCE_ADMIN"])
async def test_sessions_and_keys_end_when_their_user_becomes_an_owner(plot: Plot, role: str) -> None:
    acme = plot.acme
    own = await member(acme.bench, acme.owner, ALICE, "ROLE_DEVELOPER")
    own_key = (await plot.key(own)).token
    stolen = (await acme.sign_on(ALICE)).token
    made = await plot.key(stolen)
    rotated = await acme.bench.person("RotateApiKey", {"keyId": made.key_id, "overlapSeconds": 3600}, made.token)
    await plot.give("ROLE_ADMIN")
    taken = (stolen, made.token, rotated.token)
    assert await plot.are_good(*taken) == [True, True, True]
    await plot.give(role)
    assert await plot.are_good(*taken) == [False, False, False]
    assert await plot.are_good(own, own_key) == [True, True]


async def test_also_when_it_comes_by_a_group(plot: Plot) -> None:
    acme = plot.acme
    stolen = (await acme.sign_on(ALICE)).token
    key = (await plot.key(stolen)).token
    access = {"accountAccess": {"role": "ROLE_FINANCE_ADMIN"}}
    described = {"displayName": "finance", "access": access, "cloudGroup": {}}
    group = await acme.bench.call(acme.owner.token, "CreateUserGroup", {"spec": described})
    alice = {"groupId": group.group_id, "memberId": {"userId": (await acme.users())[ALICE].id}}
    await acme.bench.call(acme.owner.token, "AddUserGroupMember", alice)
    assert await plot.are_good(stolen, key) == [False, False]


async def test_what_came_by_a_connection_of_an_owner_goes_on(acme: Acme) -> None:
    plot = Plot(acme, "")
    session = (await acme.sign_on(ALICE)).token
    key = (await plot.key(session)).token
    await plot.give("ROLE_OWNER")
    assert await plot.are_good(session, key) == [True, True]


async def test_a_sign_in_that_was_approved_before_comes_too_late(plot: Plot) -> None:
    acme = plot.acme
    await invite(acme.bench, acme.owner, ALICE)
    request = {"ticket": await acme.bench.mailed(ALICE), "password": PASSWORD}
    await acme.bench.person("AcceptInvitation", request)
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), ALICE)
    assert (await browser.open(back)).status_code == 303
    await plot.give("ROLE_OWNER")
    with pytest.raises(errors.Unauthenticated, match=_LATE):
        await browser.exchange(pending_id)


async def test_sessions_of_owners_end_when_a_connection_vouches_for_them_no_more(plot: Plot) -> None:
    acme = plot.acme
    acme.connection_id = (await acme.call("GetSignOnConnections")).connections[0].id
    owners, bobs = (await acme.sign_on(acme.owner.email)).token, (await acme.sign_on("bob@acme.example")).token
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    assert shown.vouches_for_owners
    more = spec(displayName=shown.spec.display_name, emailDomains=["acme.example", "evil.example"])
    request = {"connectionId": shown.id, "resourceVersion": shown.resource_version, "spec": more}
    await call(acme.bench, plot.admin, "UpdateSignOnConnection", request)
    assert await plot.are_good(owners, bobs, acme.owner.token) == [False, True, True]


async def test_groups_do_not_give_an_owners_roles_by_it(plot: Plot) -> None:
    acme = plot.acme
    mapping = {"group": "money", "access": {"accountRole": "financeadmin"}}
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    asked = spec(displayName="Mine", groupsClaim="groups", groupMappings=[mapping])
    request = {"connectionId": shown.id, "resourceVersion": shown.resource_version, "spec": asked}
    assert not (await acme.call("UpdateSignOnConnection", request)).connection.vouches_for_owners
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), ALICE, groups=["money"])
    assert (await browser.open(back)).status_code == 403
    assert ALICE not in await acme.users()
