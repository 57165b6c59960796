"""Invitations: whom they are for, and who may use them how often."""

from __future__ import annotations

import pytest

from perdure.api.people import invitations
from perdure.kernel import errors
from tests.support.control_plane import ControlBench
from tests.support.people import BOB, OTHER_PASSWORD, PASSWORD, WRONG, code, enrol, invite, sign_in, sign_up

CARL = "carl@example.com"


async def test_whoever_is_invited_chooses_a_password_and_is_in(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    user_id = await invite(bench, ann)
    mail = await bench.last_mail(BOB)
    assert '"Acme"' in mail.text
    # He is nobody yet.
    assert (await bench.call(ann.token, "GetUser", {"userId": user_id})).user.HasField("invitation")
    request = {"ticket": await bench.mailed(BOB), "password": OTHER_PASSWORD}
    with pytest.raises(errors.InvalidArgument, match="password"):
        await bench.person("AcceptInvitation", {**request, "password": "short"})
    answer = await bench.person("AcceptInvitation", request)
    me = (await bench.call(answer.signed_in.token, "GetCurrentIdentity")).user
    assert (me.id, me.spec.email, me.HasField("invitation")) == (user_id, BOB, False)
    assert answer.signed_in.session.account_id == ann.account_id
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("AcceptInvitation", request)


async def test_whoever_has_a_login_shows_that_it_is_his(bench: ControlBench) -> None:
    ann, bob = await sign_up(bench), await sign_up(bench, BOB, "Bob's")
    await enrol(bench, bob)
    await bench.pass_time(30 * 10**9)
    await invite(bench, ann)
    request = {"ticket": await bench.mailed(BOB), "password": PASSWORD}
    with pytest.raises(errors.Unauthenticated):
        await bench.person("AcceptInvitation", {**request, "password": WRONG})
    assert (await bench.person("AcceptInvitation", request)).code_required
    answer = await bench.person("AcceptInvitation", {**request, "code": code(bench, bob.secret)})
    assert answer.signed_in.session.account_id == ann.account_id
    memberships = (await bench.person("GetPerson", token=answer.signed_in.token)).memberships
    assert {each.account_id for each in memberships} == {ann.account_id, bob.account_id}


async def test_an_invitation_is_for_nobody_else(bench: ControlBench) -> None:
    ann, carl = await sign_up(bench), await sign_up(bench, CARL, "Carl's")
    await invite(bench, ann)
    ticket = await bench.mailed(BOB)
    with pytest.raises(errors.PermissionDenied, match="another address"):
        await bench.person("JoinAccount", {"ticket": ticket}, carl.token)
    # Carl's password does not help him: the login is Bob's.
    answer = await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    assert (await bench.person("GetPerson", token=answer.signed_in.token)).email == BOB
    memberships = (await bench.person("GetPerson", token=carl.token)).memberships
    assert [each.account_id for each in memberships] == [carl.account_id]


async def test_another_one_ends_the_one_of_before(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    user_id = await invite(bench, ann)
    first = await bench.mailed(BOB)
    await bench.person("ResendInvitation", {"userId": user_id}, ann.token)
    second = await bench.mailed(BOB)
    assert first != second
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("AcceptInvitation", {"ticket": first, "password": PASSWORD})
    await bench.person("AcceptInvitation", {"ticket": second, "password": PASSWORD})
    with pytest.raises(errors.FailedPrecondition, match="accepted"):
        await bench.person("ResendInvitation", {"userId": user_id}, ann.token)


async def test_an_invitation_ends(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await invite(bench, ann)
    ticket = await bench.mailed(BOB)
    await bench.pass_time(invitations.LIFETIME_NS)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})


async def test_whoever_is_removed_is_out(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    user_id = await invite(bench, ann)
    waiting = await invite(bench, ann, CARL)
    ticket = await bench.mailed(CARL)
    request = {"ticket": await bench.mailed(BOB), "password": PASSWORD}
    bob = (await bench.person("AcceptInvitation", request)).signed_in.token
    for each in (user_id, waiting):
        version = (await bench.call(ann.token, "GetUser", {"userId": each})).user.resource_version
        await bench.call(ann.token, "DeleteUser", {"userId": each, "resourceVersion": version})
    await bench.access.watch.look()
    with pytest.raises(errors.Unauthenticated):
        await bench.person("GetPerson", token=bob)
    with pytest.raises(errors.FailedPrecondition, match="no account"):
        await sign_in(bench, BOB)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})


async def test_who_may_not_invite_may_not_invite_again(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await invite(bench, ann)
    bob = await bench.person("AcceptInvitation", {"ticket": await bench.mailed(BOB), "password": PASSWORD})
    user_id = await invite(bench, ann, CARL)
    with pytest.raises(errors.PermissionDenied):
        await bench.person("ResendInvitation", {"userId": user_id}, bob.signed_in.token)
    stranger = await sign_up(bench, "dora@example.com", "Dora")
    with pytest.raises(errors.NotFound):
        await bench.person("ResendInvitation", {"userId": user_id}, stranger.token)
    # Only owners make owners, and what an admin may not give he may not give again.
    await invite(bench, ann, "eve@example.com", "ROLE_ADMIN")
    ticket = await bench.mailed("eve@example.com")
    eve = (await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})).signed_in.token
    owner_id = await invite(bench, ann, "fay@example.com", "ROLE_OWNER")
    with pytest.raises(errors.PermissionDenied):
        await bench.person("ResendInvitation", {"userId": owner_id}, eve)


async def test_nobody_is_invited_again_and_again(bench: ControlBench) -> None:
    """By whichever account: anybody can have one."""
    ann, dora = await sign_up(bench), await sign_up(bench, "dora@example.com", "Dora")
    user_id = await invite(bench, ann)
    await invite(bench, dora)
    for _ in range(2):
        await bench.person("ResendInvitation", {"userId": user_id}, ann.token)
    with pytest.raises(errors.ResourceExhausted, match="try again"):
        await bench.person("ResendInvitation", {"userId": user_id}, ann.token)
    eve = await sign_up(bench, "eve@example.com", "Eve")
    with pytest.raises(errors.ResourceExhausted, match="try again"):
        await invite(bench, eve)
    # Whom nobody has bothered yet may be invited, by the same.
    await invite(bench, ann, CARL)
