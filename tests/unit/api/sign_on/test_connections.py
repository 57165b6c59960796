"""Connections as resources: who may change them, what they give, and what follows when they change."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from perdure.kernel import errors
from tests.support.control_plane import ControlBench
from tests.support.oidc_provider import CLIENT_SECRET, spec
from tests.support.people import PASSWORD, Person, enrol, invite, sign_in, sign_up
from tests.support.saml_provider import SamlProvider
from tests.support.scim import provisioning
from tests.support.sign_on import Browser, call
from tests.unit.api.sign_on.conftest import Acme

BOB = "bob@acme.example"


async def member(bench: ControlBench, owner: Person, email: str, role: str) -> str:
    """The session of a member with a password."""
    await invite(bench, owner, email, role)
    request = {"ticket": await bench.mailed(email), "password": PASSWORD}
    return str((await bench.person("AcceptInvitation", request)).signed_in.token)


async def is_good(bench: ControlBench, token: str) -> bool:
    await bench.access.watch.look()
    try:
        await bench.call(token, "GetAccount")
    except errors.Unauthenticated:
        return False
    return True


async def test_the_secret_is_never_shown(acme: Acme) -> None:
    shown = await acme.call("GetSignOnConnections")
    assert [each.id for each in shown.connections] == [acme.connection_id]
    log = (await acme.bench.call(acme.owner.token, "GetAuditLogs")).logs
    assert "CreateSignOnConnection" in {each.operation for each in log}
    assert CLIENT_SECRET not in str(shown) + str(log)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"displayName": ""}, "spec.display_name"),
        ({"emailDomains": []}, "spec.email_domains"),
        ({"emailDomains": ["*"]}, "spec.email_domains"),
        ({"emailDomains": ["com"]}, "spec.email_domains"),
        ({"emailDomains": ["acme.example "]}, "spec.email_domains"),
        ({"defaultAccess": {"accountRole": "owner"}}, "spec.default_access"),
        ({"defaultAccess": {"accountRole": "king"}}, "spec.default_access"),
        ({"defaultAccess": None}, "spec.default_access"),
        (
            {"defaultAccess": {"accountRole": "read", "namespacePermissions": {"x.other": "admin"}}},
            "spec.default_access",
        ),
        ({"groupMappings": [{"group": "x", "access": {"accountRole": "read"}}]}, "spec.groups_claim"),
        (
            {"groupsClaim": "g", "groupMappings": [{"group": "x", "access": {"accountRole": "owner"}}]},
            "spec.group_mappings",
        ),
        ({"oidc": {"issuer": "http://login.acme.example", "clientId": "c"}}, "spec.oidc.issuer"),
        ({"oidc": {"issuer": "https://a@login.example", "clientId": "c"}}, "spec.oidc.issuer"),
        ({"oidc": {"issuer": "https://login.acme.example"}}, "spec.oidc.client_id"),
        ({"oidc": {"issuer": "https://login.acme.example", "clientId": "c\r\nx"}}, "spec.oidc.client_id"),
        ({"oidc": None}, "spec: must have one"),
    ],
)
async def test_what_is_no_connection(acme: Acme, changes: dict[str, Any], field: str) -> None:
    asked = spec(**{"displayName": "New", **changes})
    with pytest.raises(errors.InvalidArgument, match=field):
        await acme.call("CreateSignOnConnection", {"spec": asked})


@pytest.mark.parametrize(
    ("certificates", "reason"),
    [
        ([], "from 1 to"),
        (["x"], "PEM"),
        (["-----BEGIN PRIVATE KEY-----\nx"], "private key"),
    ],
)
async def test_what_is_no_certificate(acme: Acme, certificates: list[str], reason: str) -> None:
    saml = {"entityId": "x", "signOnUrl": "https://x.example", "signingCertificates": certificates}
    asked = spec(displayName="New", saml=saml, oidc=None)
    with pytest.raises(errors.InvalidArgument, match=reason):
        await acme.call("CreateSignOnConnection", {"spec": asked})


async def test_a_short_key_is_refused(acme: Acme) -> None:
    weak = SamlProvider(datetime.now(UTC), bits=1024).certificate
    saml = {"entityId": "x", "signOnUrl": "https://x.example", "signingCertificates": [weak]}
    asked = spec(displayName="New", saml=saml, oidc=None)
    with pytest.raises(errors.InvalidArgument, match="2048"):
        await acme.call("CreateSignOnConnection", {"spec": asked})


async def test_only_owners_and_admins_see_and_change_them(acme: Acme) -> None:
    token = await member(acme.bench, acme.owner, "dev@acme.example", "ROLE_DEVELOPER")
    for rpc, request in (
        ("GetSignOnConnections", {}),
        ("GetSignOnConnection", {"connectionId": acme.connection_id}),
        ("CreateSignOnConnection", {"spec": spec(displayName="Mine")}),
        ("UpdateSignOnConnection", {"connectionId": acme.connection_id, "spec": spec(), "resourceVersion": "1"}),
        ("DeleteSignOnConnection", {"connectionId": acme.connection_id, "resourceVersion": "1"}),
        ("BeginTestSignIn", {"connectionId": acme.connection_id}),
        ("SetSignOnEnforcement", {"required": True, "resourceVersion": "1"}),
    ):
        with pytest.raises(errors.PermissionDenied):
            await call(acme.bench, token, rpc, request)


async def test_of_another_account_there_is_none(acme: Acme) -> None:
    other = await sign_up(acme.bench, "carl@other.example", "Other")
    for rpc, request in (
        ("GetSignOnConnection", {"connectionId": acme.connection_id}),
        ("UpdateSignOnConnection", {"connectionId": acme.connection_id, "spec": spec(), "resourceVersion": "1"}),
        ("DeleteSignOnConnection", {"connectionId": acme.connection_id, "resourceVersion": "1"}),
        ("BeginTestSignIn", {"connectionId": acme.connection_id}),
    ):
        with pytest.raises(errors.NotFound):
            await call(acme.bench, other.token, rpc, request)


async def test_an_admin_cannot_give_what_only_owners_give(acme: Acme) -> None:
    admin = await member(acme.bench, acme.owner, "admin@acme.example", "ROLE_ADMIN")
    asked = spec(displayName="Mine", defaultAccess={"accountRole": "financeadmin"})
    with pytest.raises(errors.PermissionDenied):
        await call(acme.bench, admin, "CreateSignOnConnection", {"spec": asked})


async def test_an_admin_cannot_come_as_the_owner(acme: Acme) -> None:
    """The attack: whoever decides which provider is believed says that he is the owner."""
    admin = await member(acme.bench, acme.owner, "admin@acme.example", "ROLE_ADMIN")
    assert (await acme.sign_on(acme.owner.email)).token
    shown = (await call(acme.bench, admin, "GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    assert shown.vouches_for_owners
    evil = {"issuer": acme.provider.issuer, "clientId": "perdure"}
    request = {
        "connectionId": acme.connection_id,
        "resourceVersion": shown.resource_version,
        "spec": spec(oidc=evil, emailDomains=["acme.example", "evil.example"]),
    }
    changed = (await call(acme.bench, admin, "UpdateSignOnConnection", request)).connection
    assert not changed.vouches_for_owners
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), acme.owner.email)
    answer = await browser.open(back)
    assert answer.status_code == 403
    assert "password until an owner" in answer.text
    assert (await acme.sign_on(BOB)).token


async def test_what_one_may_follows_from_ones_groups_at_each_sign_in(acme: Acme) -> None:
    account = acme.owner.account_id
    await acme.update(
        spec(
            groupsClaim="groups",
            groupMappings=[
                {"group": "admins", "access": {"accountRole": "admin"}},
                {
                    "group": "engineers",
                    "access": {"accountRole": "developer", "namespacePermissions": {f"orders.{account}": "read"}},
                },
                {
                    "group": "orders",
                    "access": {"accountRole": "read", "namespacePermissions": {f"orders.{account}": "write"}},
                },
            ],
        )
    )

    async def access(*groups: str) -> tuple[str, dict[str, str]]:
        await acme.sign_on(BOB, groups=list(groups))
        found = (await acme.users())[BOB].spec.access
        return found.account_access.role_deprecated, {
            name: each.permission_deprecated for name, each in found.namespace_accesses.items()
        }

    assert await access("engineers", "orders") == ("developer", {f"orders.{account}": "write"})
    assert await access("orders", "admins") == ("admin", {f"orders.{account}": "write"})
    assert await access("unknown") == ("read", {})
    assert await access() == ("read", {})


async def test_whoever_is_in_no_group_that_has_access_stays_out(acme: Acme) -> None:
    mapping = {"group": "engineers", "access": {"accountRole": "developer"}}
    await acme.update(spec(groupsClaim="groups", groupMappings=[mapping], defaultAccess=None))
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB, groups=["others"])
    answer = await browser.open(back)
    assert "has not given you access" in answer.text
    assert BOB not in await acme.users()


async def test_an_owner_stays_one_whatever_his_groups(acme: Acme) -> None:
    mapping = {"group": "engineers", "access": {"accountRole": "developer"}}
    await acme.update(spec(groupsClaim="groups", groupMappings=[mapping]))
    await acme.sign_on(acme.owner.email, groups=["engineers"])
    assert (await acme.users())[acme.owner.email].spec.access.account_access.role_deprecated == "owner"


async def test_who_was_deleted_is_out_and_a_connection_may_make_nobody(acme: Acme) -> None:
    token = (await acme.sign_on(BOB)).token
    user = (await acme.users())[BOB]
    request = {"userId": user.id, "resourceVersion": user.resource_version}
    await acme.bench.call(acme.owner.token, "DeleteUser", request)
    assert not await is_good(acme.bench, token)
    await acme.update(spec(createsUsers=False))
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    answer = await browser.open(acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB))
    assert "ask its administrators" in answer.text
    assert BOB not in await acme.users()


async def test_an_invited_user_comes_by_the_provider_and_may_accept_later(acme: Acme) -> None:
    await invite(acme.bench, acme.owner, BOB)
    ticket = await acme.bench.mailed(BOB)
    assert (await acme.sign_on(BOB)).token
    assert not (await acme.users())[BOB].HasField("invitation")
    accepted = await acme.bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    person = await acme.bench.person("GetPerson", {}, accepted.signed_in.token)
    assert [each.account_id for each in person.memberships] == [acme.owner.account_id]


async def test_whom_the_directory_puts_out_on_his_way_in_gets_no_session(acme: Acme) -> None:
    idp = await provisioning(acme.bench, acme.owner)
    user = await idp.user(BOB)
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    assert (await browser.open(back)).status_code == 303
    await idp.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    with pytest.raises(errors.Unauthenticated, match="not good any more"):
        await browser.exchange(pending_id)


async def test_whom_the_directory_has_put_out_stays_out(acme: Acme) -> None:
    idp = await provisioning(acme.bench, acme.owner)
    user = await idp.user(BOB)
    token = (await acme.sign_on(BOB)).token
    assert (await acme.users())[BOB].id == user["id"]
    await idp.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": False})
    assert not await is_good(acme.bench, token)
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    answer = await browser.open(acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB))
    assert "has not given you access" in answer.text
    await idp.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": True})
    assert await is_good(acme.bench, (await acme.sign_on(BOB)).token)


async def test_a_user_whom_the_provider_has_made_may_be_given_a_login(acme: Acme) -> None:
    token = (await acme.sign_on(BOB)).token
    user = (await acme.users())[BOB]
    await acme.bench.person("ResendInvitation", {"userId": user.id}, acme.owner.token)
    assert await is_good(acme.bench, token)
    ticket = await acme.bench.mailed(BOB)
    accepted = await acme.bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    assert await is_good(acme.bench, accepted.signed_in.token)
    assert await is_good(acme.bench, token)


async def test_sessions_end_with_what_they_were_proven_by(acme: Acme) -> None:
    token = (await acme.sign_on(BOB)).token
    await acme.update(spec(displayName="Renamed", emailDomains=["acme.example", "acme.test"]))
    assert await is_good(acme.bench, token)
    await acme.update(spec(emailDomains=["acme.test"]))
    assert not await is_good(acme.bench, token)
    await acme.update(spec())
    token = (await acme.sign_on(BOB)).token
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    request = {"connectionId": acme.connection_id, "resourceVersion": shown.resource_version}
    await acme.call("DeleteSignOnConnection", request)
    assert not await is_good(acme.bench, token)
    assert await is_good(acme.bench, acme.owner.token)


async def test_a_namespace_that_is_gone_is_in_no_mapping(acme: Acme) -> None:
    name = f"orders.{acme.owner.account_id}"
    certificate = {"name": "orders", "apiKeyAuth": {"enabled": True}}
    await acme.bench.done(acme.owner.token, "CreateNamespace", {"spec": certificate})
    access = {"accountRole": "read", "namespacePermissions": {name: "admin"}}
    await acme.update(spec(defaultAccess=access))
    await acme.test(BOB)
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    under_way = await browser.set_out(acme.connection_id, pending_id)
    found = (await acme.bench.call(acme.owner.token, "GetNamespace", {"namespace": name})).namespace
    request = {"namespace": name, "resourceVersion": found.resource_version}
    await acme.bench.done(acme.owner.token, "DeleteNamespace", request)
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    assert not shown.spec.default_access.namespace_permissions
    # What was proven is proven as before.
    assert shown.last_test.is_current
    assert (await browser.open(acme.provider.sign_in(under_way, BOB))).headers["location"] == "/sign-in/done"


async def test_a_test_says_who_would_come_and_lets_nobody_in(acme: Acme) -> None:
    outcome = await acme.test(BOB)
    assert outcome.succeeded
    assert outcome.is_current
    assert BOB in outcome.message
    assert BOB not in await acme.users()
    outcome = await acme.test("bob@evil.example")
    assert not outcome.succeeded
    assert "evil.example" in outcome.message
    acme.provider.claims = {"nonce": "wrong"}
    outcome = await acme.test(BOB)
    assert "nonce" in outcome.message
    await acme.update(spec(displayName="Changed"))
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    assert not shown.last_test.is_current


async def test_a_test_says_what_he_could_do(acme: Acme) -> None:
    name = f"orders.{acme.owner.account_id}"
    access = {"accountRole": "developer", "namespacePermissions": {name: "write"}}
    await acme.update(spec(groupsClaim="groups", groupMappings=[{"group": "engineers", "access": access}]))
    said = f"the account role developer, write on {name}."
    assert said in (await acme.test(BOB, groups=["engineers"])).message
    # Also of somebody who is there already.
    await acme.sign_on(BOB)
    assert said in (await acme.test(BOB, groups=["engineers"])).message
    assert "stays an owner" in (await acme.test(acme.owner.email, groups=["engineers"])).message


async def test_the_address_of_a_test_is_good_once(acme: Acme) -> None:
    begun = await acme.call("BeginTestSignIn", {"connectionId": acme.connection_id})
    assert (await Browser(acme.bench).open(begun.url)).status_code == 303
    assert (await Browser(acme.bench).open(begun.url)).status_code == 403


async def test_it_is_enforced_once_it_was_tested(acme: Acme) -> None:
    dev = await member(acme.bench, acme.owner, "dev@acme.example", "ROLE_DEVELOPER")
    with pytest.raises(errors.FailedPrecondition, match="test"):
        await acme.enforce()
    await acme.test(BOB)
    await acme.enforce()
    assert not await is_good(acme.bench, dev)
    with pytest.raises(errors.FailedPrecondition, match="identity provider"):
        await sign_in(acme.bench, "dev@acme.example")
    # Owners keep their password, with a second factor.
    owner = (await acme.bench.person("SignIn", {"email": acme.owner.email, "password": PASSWORD})).signed_in
    assert owner.mfa_enrolment_required
    assert (await acme.sign_on("dev@acme.example")).token


async def test_the_last_tested_connection_stays_while_it_is_enforced(acme: Acme) -> None:
    await enrol(acme.bench, acme.owner)
    await acme.test(BOB)
    await acme.enforce()
    shown = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    request = {"connectionId": acme.connection_id, "resourceVersion": shown.resource_version}
    # One of which nobody knows whether it works does not take its place.
    other = await acme.call("CreateSignOnConnection", {"spec": spec(displayName="Untested")})
    with pytest.raises(errors.FailedPrecondition, match="test another connection"):
        await acme.call("DeleteSignOnConnection", request)
    untested = {"connectionId": other.connection.id, "resourceVersion": other.connection.resource_version}
    await acme.call("DeleteSignOnConnection", untested)
    await acme.enforce(required=False)
    await acme.call("DeleteSignOnConnection", request)


async def test_whoever_is_an_owner_no_more_loses_his_password_session(acme: Acme) -> None:
    await enrol(acme.bench, acme.owner)
    second = await member(acme.bench, acme.owner, "second@acme.example", "ROLE_OWNER")
    await acme.test(BOB)
    await acme.enforce()
    assert await is_good_or_enrolment(acme.bench, second)
    user = (await acme.users())["second@acme.example"]
    described = {"email": "second@acme.example", "access": {"accountAccess": {"role": "ROLE_DEVELOPER"}}}
    request = {"userId": user.id, "resourceVersion": user.resource_version, "spec": described}
    await acme.bench.call(acme.owner.token, "UpdateUser", request)
    assert not await is_good_or_enrolment(acme.bench, second)


async def is_good_or_enrolment(bench: ControlBench, token: str) -> bool:
    """Also a session that reaches nothing but the setting up of a second factor."""
    await bench.access.watch.look()
    try:
        await bench.person("GetPerson", {}, token)
    except errors.Unauthenticated:
        return False
    return True


async def test_accounts_are_asked_apart(acme: Acme) -> None:
    """Somebody in two accounts: what one asks for does not close the other."""
    other = await sign_up(acme.bench, "dev@acme.example", "Own")
    await invite(acme.bench, acme.owner, "dev@acme.example")
    ticket = await acme.bench.mailed("dev@acme.example")
    await acme.bench.person("JoinAccount", {"ticket": ticket}, other.token)
    await acme.test(BOB)
    await acme.enforce()
    with pytest.raises(errors.FailedPrecondition):
        await acme.bench.person("SwitchAccount", {"accountId": acme.owner.account_id}, other.token)
    token = await sign_in(acme.bench, "dev@acme.example")
    assert (await acme.bench.call(token, "GetAccount")).account.id == other.account_id
