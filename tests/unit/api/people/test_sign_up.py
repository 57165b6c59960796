"""From a form to an account, and what must not be learnt or gained on the way."""

from __future__ import annotations

from functools import partial

import pytest

from perdure.api.people import tickets
from perdure.api.people.people import People
from perdure.kernel import errors
from tests.support import control_plane
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, OTHER_PASSWORD, PASSWORD, sign_in, sign_up

FORM = {"email": ANN, "password": PASSWORD, "accountName": "Acme, Inc."}


async def test_whoever_signs_up_owns_an_account(bench: ControlBench) -> None:
    assert not (await bench.person("SignUp", FORM)).ListFields()
    ticket = await bench.mailed(ANN)
    answer = await bench.person("VerifyEmail", {"ticket": ticket, "password": PASSWORD})
    token = answer.signed_in.token
    user = (await bench.call(token, "GetCurrentIdentity")).user
    assert (user.spec.email, user.spec.access.account_access.role) == (ANN, 1)
    person = await bench.person("GetPerson", token=token)
    assert [(each.account_id, each.account_name) for each in person.memberships] == [(answer.account_id, "Acme, Inc.")]
    assert (person.session.current, person.session.user_agent) == (True, "test")


async def test_nothing_is_there_before_the_mail_is_read(bench: ControlBench) -> None:
    await bench.person("SignUp", FORM)
    with pytest.raises(errors.Unauthenticated):
        await sign_in(bench)


async def test_the_link_in_the_mail_does_not_let_in_whoever_has_signed_up_with_ones_address(
    bench: ControlBench,
) -> None:
    """A stranger signs up with Ann's address and his own password. Ann, who clicks on links, does not know it."""
    await bench.person("SignUp", {**FORM, "password": OTHER_PASSWORD})
    ticket = await bench.mailed(ANN)
    with pytest.raises(errors.Unauthenticated):
        await bench.person("VerifyEmail", {"ticket": ticket, "password": PASSWORD})
    with pytest.raises(errors.Unauthenticated):
        await bench.person("SignIn", {"email": ANN, "password": OTHER_PASSWORD})


async def test_a_known_address_is_answered_as_an_unknown_one_is(bench: ControlBench) -> None:
    await sign_up(bench)
    known = await bench.person("SignUp", FORM)
    unknown = await bench.person("SignUp", {**FORM, "email": BOB})
    assert known == unknown
    assert "already" in (await bench.last_mail(ANN)).subject
    assert "#" not in (await bench.last_mail(ANN)).text
    with pytest.raises(errors.InvalidArgument, match="easy to guess"):
        await bench.person("SignUp", {**FORM, "password": "password1234"})
    with pytest.raises(errors.InvalidArgument, match="easy to guess"):
        await bench.person("SignUp", {**FORM, "password": "password1234", "email": "carl@example.com"})


async def test_a_ticket_is_good_once(bench: ControlBench) -> None:
    await bench.person("SignUp", FORM)
    request = {"ticket": await bench.mailed(ANN), "password": PASSWORD}
    await bench.person("VerifyEmail", request)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("VerifyEmail", request)


async def test_a_ticket_ends(bench: ControlBench) -> None:
    await bench.person("SignUp", FORM)
    request = {"ticket": await bench.mailed(ANN), "password": PASSWORD}
    await bench.pass_time(tickets.SIGN_UP_NS)
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("VerifyEmail", request)


@pytest.mark.parametrize("ticket", ["", "x", "pdt_1_2", "pdk_" + "0" * 22 + "_" + "0" * 43 + "000000"])
async def test_no_ticket_at_all(bench: ControlBench, ticket: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("VerifyEmail", {"ticket": ticket, "password": PASSWORD})


async def test_a_ticket_of_another_kind_opens_nothing(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await bench.person("RequestPasswordReset", {"email": ANN})
    ticket = await bench.mailed(ANN)
    for rpc in ("VerifyEmail", "AcceptInvitation"):
        with pytest.raises(errors.InvalidArgument, match="ticket"):
            await bench.person(rpc, {"ticket": ticket, "password": PASSWORD})
    with pytest.raises(errors.InvalidArgument, match="ticket"):
        await bench.person("JoinAccount", {"ticket": ticket}, ann.token)
    # And it is not used up.
    await bench.person("ResetPassword", {"ticket": ticket, "newPassword": OTHER_PASSWORD})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "ann"),
        ("email", "ann@example.com\r\nBcc: all@example.com"),
        ("password", "short"),
        ("password", "x" * 257),
        ("password", "ann@example.com"),
        ("accountName", " "),
        ("accountName", "x" * 65),
        ("accountName", "You have won: http://evil.example"),
        ("accountName", "see evil.example"),
        ("accountName", "two\nlines"),
    ],
)
async def test_what_cannot_be_is_refused(bench: ControlBench, field: str, value: str) -> None:
    with pytest.raises(errors.InvalidArgument):
        await bench.person("SignUp", {**FORM, field: value})
    await bench.control_plane.outbox.sent()
    assert not bench.mailer.mails


async def test_nobody_is_mailed_again_and_again(bench: ControlBench) -> None:
    for number in range(4):
        await bench.person("SignUp", FORM, address=f"192.0.2.{number}")
    with pytest.raises(errors.ResourceExhausted, match="try again in"):
        await bench.person("SignUp", FORM, address="192.0.2.99")
    with pytest.raises(errors.ResourceExhausted, match="try again in"):
        await bench.person("RequestPasswordReset", {"email": ANN}, address="192.0.2.98")
    await bench.control_plane.outbox.sent()
    assert len(bench.mailer.mails) == 4


async def test_whoever_has_left_all_accounts_signs_up_for_another(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await bench.person("DeleteAccount", {"accountName": "Acme"}, ann.token)
    with pytest.raises(errors.FailedPrecondition, match="no account"):
        await sign_in(bench)
    again = await sign_up(bench)
    assert again.account_id != ann.account_id
    await sign_in(bench)


async def test_an_installation_may_be_closed_to_strangers(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_plane, "People", partial(People, sign_up_is_open=False))
    async with bench.another() as closed:
        with pytest.raises(errors.PermissionDenied, match="invitation"):
            await closed.person("SignUp", FORM)
