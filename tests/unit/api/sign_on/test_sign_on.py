"""Signing on with an account's own provider: who one is then, and what that opens."""

from __future__ import annotations

import pytest

from perdure.api.people.events import SignInEventKind
from perdure.kernel import errors
from tests.support.control_plane import ControlBench
from tests.support.oidc_provider import spec
from tests.support.people import OTHER_PASSWORD, PASSWORD, sign_up
from tests.support.sign_on import Browser
from tests.unit.api.sign_on.conftest import Acme

BOB = "bob@acme.example"


async def test_whoever_the_provider_knows_becomes_a_user_and_has_a_session(acme: Acme) -> None:
    signed_in = await acme.sign_on("Bob@Acme.example")
    assert not signed_in.mfa_enrolment_required
    user = (await acme.users())[BOB]
    assert user.spec.access.account_access.role_deprecated == "read"
    person = await acme.bench.person("GetPerson", {}, signed_in.token)
    assert (person.email, [each.account_id for each in person.memberships]) == (BOB, [acme.owner.account_id])
    assert (await acme.bench.call(signed_in.token, "GetAccount")).account.id == acme.owner.account_id
    # Nobody was mailed, and the next time it is the same user.
    assert not [mail for mail in acme.bench.mailer.mails if mail.to == BOB]
    await acme.sign_on(BOB)
    assert (await acme.users())[BOB].id == user.id


async def test_a_session_by_sign_on_is_of_one_user_and_no_person(acme: Acme) -> None:
    token = (await acme.sign_on(BOB)).token
    for rpc, request in (
        ("SwitchAccount", {"accountId": acme.owner.account_id}),
        ("ChangePassword", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}),
        ("EnrolMfa", {"password": PASSWORD}),
        ("ConfirmMfa", {"code": "123456"}),
        ("RenewRecoveryCodes", {"password": PASSWORD, "code": "123456"}),
        ("DisableMfa", {"password": PASSWORD, "code": "123456"}),
        ("JoinAccount", {"ticket": "pdt_x"}),
    ):
        with pytest.raises(errors.PermissionDenied, match="identity provider"):
            await acme.bench.person(rpc, request, token)


async def test_one_sees_and_ends_ones_own_sessions_and_makes_keys(acme: Acme) -> None:
    first, second = (await acme.sign_on(BOB)).token, (await acme.sign_on(BOB)).token
    listed = (await acme.bench.person("GetSessions", {}, first)).sessions
    assert len(listed) == 2
    other = next(each.id for each in listed if not each.current)
    await acme.bench.person("RevokeSession", {"sessionId": other}, first)
    with pytest.raises(errors.Unauthenticated):
        await acme.bench.person("GetPerson", {}, second)
    owners = (await acme.bench.person("GetSessions", {}, acme.owner.token)).sessions
    with pytest.raises(errors.NotFound):
        await acme.bench.person("RevokeSession", {"sessionId": owners[0].id}, first)
    request = {"displayName": "k", "expiryTime": acme.bench.time_in(10**15)}
    assert (await acme.bench.person("CreateUserApiKey", request, first)).token
    await acme.bench.person("SignOut", {}, first)
    with pytest.raises(errors.Unauthenticated):
        await acme.bench.person("GetPerson", {}, first)


async def test_a_provider_cannot_come_as_somebody_elsewhere(acme: Acme) -> None:
    """The attack: an account of one's own, a provider of one's own, and the address of somebody else."""
    bench = acme.bench
    victim = await sign_up(bench, "victim@other.example", "Other")
    await acme.update(spec(emailDomains=["other.example"]))
    token = (await acme.sign_on("victim@other.example")).token
    person = await bench.person("GetPerson", {}, token)
    assert [each.account_id for each in person.memberships] == [acme.owner.account_id]
    assert (await bench.call(token, "GetAccount")).account.id == acme.owner.account_id
    with pytest.raises(errors.PermissionDenied):
        await bench.person("SwitchAccount", {"accountId": victim.account_id}, token)
    # Nor is the victim drawn into the account: nobody has asked him.
    seen = await bench.person("GetPerson", {}, victim.token)
    assert [each.account_id for each in seen.memberships] == [victim.account_id]
    with pytest.raises(errors.NotFound):
        await bench.person("SwitchAccount", {"accountId": acme.owner.account_id}, victim.token)
    sessions = (await bench.person("GetSessions", {}, token)).sessions
    assert len(sessions) == 1


async def test_a_foreign_domain_is_refused_and_told_in_the_audit_log(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    answer = await browser.open(
        acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), "x@evil.example")
    )
    assert answer.status_code == 403
    assert "not for addresses of evil.example" in answer.text
    assert "x@evil.example" not in await acme.users()
    assert not (await browser.exchange(pending_id)).token
    (failed,) = [event for event in acme.bench.events if event.kind is SignInEventKind.FAILED]
    assert (failed.account_id, failed.connection_id) == (acme.owner.account_id, acme.connection_id)
    assert "evil.example" in failed.reason


async def test_mfa_that_the_account_asks_for_is_the_providers(acme: Acme, bench: ControlBench) -> None:
    settings = await bench.person("GetAccountSettings", {}, acme.owner.token)
    request = {"settings": {"name": "Acme", "mfaRequired": True}, "resourceVersion": settings.resource_version}
    await bench.person("UpdateAccountSettings", request, acme.owner.token)
    signed_in = await acme.sign_on(BOB)
    assert not signed_in.mfa_enrolment_required
    assert (await bench.call(signed_in.token, "GetAccount")).account.id
