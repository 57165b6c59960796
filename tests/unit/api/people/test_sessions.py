"""Sessions: what they open, how long, and when they end."""

from __future__ import annotations

import asyncio
import sqlite3
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from perdure.api.people.events import SignInEventKind
from perdure.api.people.people import SessionLimits
from perdure.api.people.upkeep import Upkeep
from perdure.auth.certificates.issuing import generate_authority
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceName
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, OTHER_PASSWORD, PASSWORD, enrol, invite, sign_in, sign_up

LIMITS = SessionLimits()
LIST = "temporal.api.workflowservice.v1.WorkflowService.ListWorkflowExecutions"
#: When the clock begins.
NOW = datetime.fromtimestamp(1_700_000_000, UTC)


async def is_good(bench: ControlBench, token: str) -> bool:
    await bench.access.watch.look()
    try:
        await bench.call(token, "GetAccount")
    except errors.Unauthenticated:
        return False
    return True


async def test_a_session_ends_when_one_signs_out(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    async with bench.another() as other:
        assert await is_good(other, ann.token)
        await bench.person("SignOut", token=ann.token)
        assert not await is_good(bench, ann.token)
        await other.access.watch.look()
        assert not await is_good(other, ann.token)
    for rpc in ("GetPerson", "SignOut", "GetSessions"):
        with pytest.raises(errors.Unauthenticated):
            await bench.person(rpc, token=ann.token)
    kinds = [event.kind for event in bench.events]
    assert kinds == [SignInEventKind.SIGNED_IN, SignInEventKind.SIGNED_OUT]


async def test_a_session_that_is_not_used_ends(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await bench.pass_time(LIMITS.idle_ns - SECOND_NS)
    assert await is_good(bench, ann.token)
    await bench.pass_time(2 * SECOND_NS)
    assert not await is_good(bench, ann.token)


async def test_a_session_that_is_used_goes_on_but_not_for_ever(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    used_ns = 0
    while used_ns < LIMITS.lifetime_ns - LIMITS.idle_ns:
        await bench.pass_time(LIMITS.idle_ns - SECOND_NS)
        used_ns += LIMITS.idle_ns - SECOND_NS
        assert await is_good(bench, ann.token)
        await bench.access.uses.report()
        await bench.access.watch.look()
    shown = (await bench.person("GetPerson", token=ann.token)).session
    assert shown.last_used_time.ToNanoseconds() == bench.runtime.clock.now_ns()
    await bench.pass_time(LIMITS.lifetime_ns - used_ns)
    assert not await is_good(bench, ann.token)


async def test_one_sees_and_ends_ones_own_sessions(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    second = await sign_in(bench)
    sessions = (await bench.person("GetSessions", token=ann.token)).sessions
    assert sorted(each.current for each in sessions) == [False, True]
    other = next(each.id for each in sessions if not each.current)
    bob = await sign_up(bench, BOB, "Other")
    with pytest.raises(errors.NotFound):
        await bench.person("RevokeSession", {"sessionId": other}, bob.token)
    assert await is_good(bench, second)
    await bench.person("RevokeSession", {"sessionId": other}, ann.token)
    assert not await is_good(bench, second)
    assert await is_good(bench, ann.token)


async def test_there_are_not_too_many(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    for _ in range(LIMITS.per_person_max):
        await bench.pass_time(SECOND_NS)
        await sign_in(bench)
    assert not await is_good(bench, ann.token)
    token = await sign_in(bench)
    assert len((await bench.person("GetSessions", token=token)).sessions) == LIMITS.per_person_max


async def test_one_person_in_two_accounts(bench: ControlBench) -> None:
    ann, bob = await sign_up(bench), await sign_up(bench, BOB, "Bob's")
    await invite(bench, bob, ANN)
    await bench.person("JoinAccount", {"ticket": await bench.mailed(ANN)}, ann.token)
    person = await bench.person("GetPerson", token=ann.token)
    assert {each.account_id: each.account_name for each in person.memberships} == {
        ann.account_id: "Acme",
        bob.account_id: "Bob's",
    }
    assert (await bench.call(ann.token, "GetAccount")).account.id == ann.account_id
    switched = (await bench.person("SwitchAccount", {"accountId": bob.account_id}, ann.token)).signed_in
    assert not await is_good(bench, ann.token)
    assert (await bench.call(switched.token, "GetAccount")).account.id == bob.account_id
    with pytest.raises(errors.PermissionDenied):
        spec = {"email": "c@example.com", "access": {"accountAccess": {"role": "ROLE_READ"}}}
        await bench.call(switched.token, "CreateUser", {"spec": spec})
    # Whoever signs in again is where he was.
    token = await sign_in(bench)
    assert (await bench.call(token, "GetAccount")).account.id == bob.account_id
    token = await sign_in(bench, accountId=ann.account_id)
    assert (await bench.call(token, "GetAccount")).account.id == ann.account_id
    stranger = await sign_up(bench, "carl@example.com", "Carl")
    with pytest.raises(errors.NotFound):
        await bench.person("SwitchAccount", {"accountId": stranger.account_id}, token)
    with pytest.raises(errors.NotFound):
        await sign_in(bench, accountId=stranger.account_id)


async def test_going_from_account_to_account_makes_a_session_no_longer(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    end = (await bench.person("GetPerson", token=ann.token)).session.created_time.ToNanoseconds() + LIMITS.lifetime_ns
    token, step_ns = ann.token, LIMITS.idle_ns - SECOND_NS
    while bench.runtime.clock.now_ns() + step_ns < end:
        await bench.pass_time(step_ns)
        request = {"accountId": ann.account_id}
        token = (await bench.person("SwitchAccount", request, token)).signed_in.token
    await bench.pass_time(end - bench.runtime.clock.now_ns())
    assert not await is_good(bench, token)


async def test_people_look_at_namespaces_that_are_closed_to_api_keys(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    authority = generate_authority("clients", timedelta(days=30), NOW).certificate_pem.decode()
    encoded = b64encode(authority.encode()).decode()
    spec = {"name": "orders", "mtlsAuth": {"enabled": True, "acceptedClientCa": encoded}}
    name = (await bench.done(ann.token, "CreateNamespace", {"spec": spec})).namespace
    key = await bench.person(
        "CreateUserApiKey", {"displayName": "k", "expiryTime": bench.time_in(LIMITS.idle_ns)}, ann.token
    )

    async def admit(token: str) -> None:
        await bench.access.guard.admit(LIST, KnownCaller({"authorization": f"Bearer {token}"}), NamespaceName(name))

    await admit(ann.token)
    with pytest.raises(errors.PermissionDenied):
        await admit(key.token)


async def test_another_password_ends_the_other_sessions(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    others = [await sign_in(bench) for _ in range(2)]
    request = {"password": PASSWORD, "newPassword": OTHER_PASSWORD}
    await bench.person("ChangePassword", request, ann.token)
    assert [await is_good(bench, token) for token in (ann.token, *others)] == [True, False, False]
    with pytest.raises(errors.Unauthenticated):
        await sign_in(bench)
    await bench.person("SignIn", {"email": ANN, "password": OTHER_PASSWORD})
    assert "has been changed" in (await bench.last_mail(ANN)).text


async def test_a_reset_ends_all_sessions_and_works_once(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await bench.person("RequestPasswordReset", {"email": ANN})
    request = {"ticket": await bench.mailed(ANN), "newPassword": OTHER_PASSWORD}
    with pytest.raises(errors.InvalidArgument, match="new_password"):
        await bench.person("ResetPassword", {**request, "newPassword": "short"})
    await bench.person("ResetPassword", request)
    assert not await is_good(bench, ann.token)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("ResetPassword", request)
    await bench.person("SignIn", {"email": ANN, "password": OTHER_PASSWORD})


async def test_a_reset_is_answered_alike_for_all(bench: ControlBench) -> None:
    await sign_up(bench)
    known = await bench.person("RequestPasswordReset", {"email": ANN})
    assert known == await bench.person("RequestPasswordReset", {"email": BOB})
    await bench.control_plane.outbox.sent()
    assert not [mail for mail in bench.mailer.mails if mail.to == BOB]


async def test_an_owner_whom_an_operator_has_made_gets_a_password_by_mail(bench: ControlBench) -> None:
    owner = await bench.account("root@example.com")
    await bench.person("RequestPasswordReset", {"email": "root@example.com"})
    ticket = await bench.mailed("root@example.com")
    await bench.person("ResetPassword", {"ticket": ticket, "newPassword": PASSWORD})
    token = await sign_in(bench, "root@example.com")
    assert (await bench.call(token, "GetAccount")).account.id == owner.account_id


async def test_api_keys_are_no_sessions(bench: ControlBench) -> None:
    owner = await bench.account()
    for rpc in ("GetPerson", "SignOut", "GetSessions", "ConfirmMfa", "EnrolMfa", "DeleteAccount"):
        with pytest.raises(errors.PermissionDenied, match="by a session"):
            await bench.person(rpc, token=owner.token)


async def test_nobody_is_no_one(bench: ControlBench) -> None:
    for rpc in ("GetPerson", "SignOut", "SwitchAccount", "GetAccountSettings", "DeleteAccount", "CreateUserApiKey"):
        with pytest.raises(errors.Unauthenticated):
            await bench.person(rpc)


async def test_a_password_that_is_changed_meanwhile_lets_nobody_in(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    change = bench.person("ChangePassword", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}, ann.token)
    answers = await asyncio.gather(change, *(sign_in(bench) for _ in range(3)), return_exceptions=True)
    for answer in answers[1:]:
        assert isinstance(answer, errors.Unauthenticated) or not await is_good(bench, str(answer))


async def test_what_is_over_is_swept_up(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    await bench.person("RequestPasswordReset", {"email": ANN})
    with pytest.raises(errors.Unauthenticated):
        await bench.person("SignIn", {"email": BOB, "password": PASSWORD})
    await bench.pass_time(LIMITS.lifetime_ns)
    await Upkeep(bench.database, bench.runtime.clock, LIMITS).sweep()
    with sqlite3.connect(bench.url.removeprefix("sqlite://")) as database:
        tables = ("sessions", "tickets", "attempts", "people", "recovery_codes")
        left = {table: database.execute(f"select count(*) from {table}").fetchone()[0] for table in tables}
    # Where Ann is known is known for longer.
    assert left == {"sessions": 0, "tickets": 0, "attempts": 1, "people": 1, "recovery_codes": 10}
