"""Signing in with a browser for a program: what the page and the program do, and what others may try."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from perdure.api.people import pending
from perdure.api.people.events import SignInEventKind
from perdure.api.people.people import SessionLimits
from perdure.api.people.totp import STEP_NS
from perdure.api.people.upkeep import Upkeep
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, OTHER_PASSWORD, PASSWORD, WRONG, enrol, invite, sign_up
from tests.support.people import code as totp_code

VERIFIER = "v" * 43
OTHER_VERIFIER = "w" * 43
LOOPBACK = "http://127.0.0.1:8400/callback"
BROWSER, OTHER_BROWSER = "a1" * 32, "b2" * 32
LAPTOP, PHONE, FAR = "198.51.100.1", "198.51.100.2", "203.0.113.9"
LIFETIME_NS = pending.LIFETIME_NS


async def begin(bench: ControlBench, redirect_uri: str = LOOPBACK, address: str = LAPTOP, **more: str) -> Any:
    request = {"codeChallenge": pending.challenge_of(VERIFIER), "redirectUri": redirect_uri, "clientName": "perdure"}
    return await bench.person("BeginBrowserSignIn", {**request, **more}, address=address)


async def confirm(bench: ControlBench, begun: Any, browser: str = BROWSER, **more: Any) -> Any:
    request = {"pendingId": begun.pending_id, "userCode": begun.user_code, "browser": browser, **more}
    return await bench.person("ConfirmBrowserSignIn", request, address=PHONE)


async def approve(bench: ControlBench, begun: Any, browser: str = BROWSER, address: str = PHONE, **more: str) -> Any:
    request = {"pendingId": begun.pending_id, "browser": browser, **more}
    return await bench.person("ApproveBrowserSignIn", request, address=address)


async def by_password(bench: ControlBench, begun: Any, **more: str) -> Any:
    await confirm(bench, begun)
    return await approve(bench, begun, email=ANN, password=PASSWORD, **more)


async def complete(bench: ControlBench, begun: Any, code: str = "", verifier: str = VERIFIER) -> Any:
    request = {"pendingId": begun.pending_id, "codeVerifier": verifier, "code": code}
    return await bench.person("CompleteBrowserSignIn", request, address=LAPTOP)


async def approved(bench: ControlBench) -> tuple[Any, str]:
    """A sign-in that Ann has answered, and the code that her browser brings."""
    begun = await begin(bench)
    return begun, brought((await by_password(bench, begun)).url)


def brought(url: str) -> str:
    return parse_qs(urlsplit(url).query)["code"][0]


async def whoami(bench: ControlBench, token: str) -> str:
    return str((await bench.person("GetPerson", {}, token)).email)


# What it is for


async def test_the_browser_brings_a_code_which_is_exchanged_for_a_session(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    begun = await begin(bench, state="my-state")
    assert begun.url == f"https://pages.example/sign-in/{begun.pending_id}" and not begun.user_code
    answer = await by_password(bench, begun)
    assert answer.url.startswith(f"{LOOPBACK}?") and parse_qs(urlsplit(answer.url).query)["state"] == ["my-state"]
    signed_in = (await complete(bench, begun, brought(answer.url))).signed_in
    assert await whoami(bench, signed_in.token) == ANN
    assert (signed_in.session.account_id, signed_in.session.address) == (ann.account_id, LAPTOP)
    assert bench.events[-1].kind is SignInEventKind.SIGNED_IN


async def test_the_program_asks_until_somebody_has_typed_its_code(bench: ControlBench) -> None:
    await sign_up(bench)
    begun = await begin(bench, "")
    assert begun.url == "https://pages.example/device"
    waiting = await complete(bench, begun)
    assert not waiting.HasField("signed_in") and not waiting.slow_down
    assert waiting.interval_seconds == begun.interval_seconds == 5
    described = await bench.person("DescribeBrowserSignIn", {"userCode": begun.user_code.lower()}, address=PHONE)
    assert (described.pending_id, described.address, described.by_user_code) == (begun.pending_id, LAPTOP, True)
    assert (await by_password(bench, begun)).url == "/sign-in/done"
    assert await whoami(bench, (await complete(bench, begun)).signed_in.token) == ANN
    with pytest.raises(errors.InvalidArgument):
        await complete(bench, begun)


async def test_who_asks_too_soon_is_slowed_down(bench: ControlBench) -> None:
    begun = await begin(bench, "")
    await complete(bench, begun)
    intervals = []
    for passed_s in (1, 9, 15, 15):
        await bench.pass_time(passed_s * SECOND_NS)
        answer = await complete(bench, begun)
        intervals.append((answer.slow_down, answer.interval_seconds))
    assert intervals == [(True, 10), (True, 15), (False, 15), (False, 15)]


async def test_a_second_factor_is_asked_for_and_needed(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    await bench.pass_time(60 * SECOND_NS)
    begun = await begin(bench)
    first = await by_password(bench, begun)
    assert first.code_required and not first.url
    with pytest.raises(errors.PermissionDenied):
        await approve(bench, begun, first.browser, code="000000")
    # Neither choosing an account nor asking for nothing is a way around it.
    for more in ({"accountId": ann.account_id}, {}):
        assert (await approve(bench, begun, first.browser, **more)).code_required
    answer = await approve(bench, begun, first.browser, code=totp_code(bench, ann.secret))
    assert await whoami(bench, (await complete(bench, begun, brought(answer.url))).signed_in.token) == ANN


async def test_one_of_several_accounts_is_chosen(bench: ControlBench) -> None:
    await sign_up(bench)
    bob = await sign_up(bench, BOB, "Bob's")
    await invite(bench, bob, ANN)
    ticket = await bench.mailed(ANN)
    await bench.person("AcceptInvitation", {"ticket": ticket, "password": PASSWORD})
    begun = await begin(bench)
    first = await by_password(bench, begun)
    assert {each.account_name for each in first.memberships} == {"Acme", "Bob's"} and not first.url
    with pytest.raises(errors.NotFound):
        await approve(bench, begun, first.browser, accountId="nobodys")
    answer = await approve(bench, begun, first.browser, accountId=bob.account_id)
    signed_in = (await complete(bench, begun, brought(answer.url))).signed_in
    assert signed_in.session.account_id == bob.account_id
    # If one is asked for, there is no choice.
    asked = await begin(bench, accountId=bob.account_id)
    answer = await by_password(bench, asked, accountId="another")
    assert (await complete(bench, asked, brought(answer.url))).signed_in.session.account_id == bob.account_id


async def test_somebody_says_no(bench: ControlBench) -> None:
    for redirect_uri in (LOOPBACK, ""):
        begun = await begin(bench, redirect_uri, state="s")
        url = (await confirm(bench, begun, deny=True)).url
        assert url == (f"{LOOPBACK}?error=access_denied&state=s" if redirect_uri else "/sign-in/denied")
        with pytest.raises(errors.PermissionDenied):
            await complete(bench, begun)
        with pytest.raises(errors.NotFound):
            await confirm(bench, begun)


# What others try


async def test_a_code_that_is_used_twice_ends_the_session(bench: ControlBench) -> None:
    """Two know code and verifier: one of them has stolen them."""
    await sign_up(bench)
    begun, code = await approved(bench)
    token = (await complete(bench, begun, code)).signed_in.token
    with pytest.raises(errors.InvalidArgument):
        await complete(bench, begun, code)
    with pytest.raises(errors.Unauthenticated):
        await whoami(bench, token)


async def test_of_two_who_exchange_at_once_one_has_a_session_at_most(bench: ControlBench) -> None:
    await sign_up(bench)
    begun, code = await approved(bench)
    tries = await asyncio.gather(*(complete(bench, begun, code) for _ in range(5)), return_exceptions=True)
    tokens = [each.signed_in.token for each in tries if not isinstance(each, BaseException)]
    assert len(tokens) <= 1
    assert all(isinstance(each, errors.InvalidArgument) for each in tries if isinstance(each, BaseException))
    await bench.access.watch.look()
    for token in tokens:
        with pytest.raises(errors.Unauthenticated):
            await whoami(bench, token)


async def test_a_code_without_its_verifier_is_worth_nothing_and_void_from_then_on(bench: ControlBench) -> None:
    await sign_up(bench)
    begun, code = await approved(bench)
    for verifier in (OTHER_VERIFIER, VERIFIER):
        with pytest.raises(errors.InvalidArgument):
            await complete(bench, begun, code, verifier)


async def test_the_verifier_without_the_code_is_worth_nothing(bench: ControlBench) -> None:
    """The program on the machine of one does not get what the browser of another has answered."""
    await sign_up(bench)
    begun, code = await approved(bench)
    _, other_code = await approved(bench)
    for guess in ("", "0" * 64, other_code):
        with pytest.raises(errors.InvalidArgument):
            await complete(bench, begun, guess)
    assert (await complete(bench, begun, code)).HasField("signed_in")


async def test_strangers_do_not_disturb_who_waits(bench: ControlBench) -> None:
    await sign_up(bench)
    begun = await begin(bench, "")
    for _ in range(3):
        with pytest.raises(errors.InvalidArgument):
            await complete(bench, begun, verifier=OTHER_VERIFIER)
    assert not (await complete(bench, begun)).slow_down


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example/callback",
        "https://127.0.0.1:8400/callback",
        "http://localhost:8400/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:8400@evil.example/",
        "http://127.0.0.1:8400\\@evil.example/",
        "http://user@127.0.0.1:8400/",
        "http://127.0.0.1.evil.example:8400/",
        "http://127.0.0.1:8400.evil.example/",
        "http://127.0.0.2:8400/",
        "http://[::ffff:127.0.0.1]:8400/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:8400/?next=http://evil.example",
        "http://127.0.0.1:8400/#fragment",
        "http://127.0.0.1:8400/\r\nx: y",
        "http://127.0.0.1:8400/\n",
        'http://127.0.0.1:8400/"><script>',
        "//127.0.0.1:8400/",
        "javascript:alert(1)//127.0.0.1:8400/",
        "http://127.0.0.1:8400/" + "a" * 300,
        "http://\uff1127.0.0.1:8400/",
    ],
)
async def test_the_browser_is_sent_to_the_same_machine_only(bench: ControlBench, uri: str) -> None:
    with pytest.raises(errors.InvalidArgument, match="redirect_uri"):
        await begin(bench, uri)


@pytest.mark.parametrize("uri", ["http://127.0.0.1:1", "http://[::1]:65535/callback", "http://127.0.0.1:80/a/b-c"])
async def test_to_the_same_machine_it_is(bench: ControlBench, uri: str) -> None:
    await sign_up(bench)
    begun = await begin(bench, uri)
    assert (await by_password(bench, begun)).url.startswith(f"{uri}?code=")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("codeChallenge", "short"),
        ("codeChallenge", "=" * 43),
        ("state", "a b"),
        ("state", "s" * 129),
        ("clientName", "a\nb"),
        ("clientName", "n" * 65),
        # Which turns what follows around.
        ("clientName", "\u202eevil"),
        ("accountId", "a" * 17),
    ],
)
async def test_what_a_program_must_not_say(bench: ControlBench, field: str, value: str) -> None:
    with pytest.raises(errors.InvalidArgument, match=r"code_challenge|state|client_name|account_id"):
        await begin(bench, **{field: value})


async def test_only_the_browser_goes_on_in_which_it_was_confirmed(bench: ControlBench) -> None:
    await sign_up(bench)
    begun = await begin(bench)
    shown = {"email": ANN, "password": PASSWORD}
    with pytest.raises(errors.PermissionDenied):
        await approve(bench, begun, BROWSER, **shown)  # which nobody has confirmed
    await confirm(bench, begun)
    for browser in (OTHER_BROWSER, "", "x"):
        with pytest.raises(errors.PermissionDenied):
            await approve(bench, begun, browser, **shown)
    with pytest.raises(errors.PermissionDenied):
        await confirm(bench, begun, OTHER_BROWSER)
    assert not [event for event in bench.events if event.kind is SignInEventKind.FAILED], "nothing was tried"


async def test_a_browser_that_was_planted_is_left_behind_by_the_password(bench: ControlBench) -> None:
    """Session fixation: somebody knows the cookie, waits until the password is there, and goes on by himself."""
    ann = await sign_up(bench)
    await enrol(bench, ann)
    begun = await begin(bench)
    first = await by_password(bench, begun)
    assert first.browser not in ("", BROWSER)
    with pytest.raises(errors.PermissionDenied):
        await approve(bench, begun, BROWSER, code=ann.recovery_codes[0])
    assert (await approve(bench, begun, first.browser, code=ann.recovery_codes[0])).url


async def test_nobody_signs_in_for_a_code_by_its_link(bench: ControlBench) -> None:
    """Who has the id of a sign-in from a link has not seen its code, and cannot confirm it."""
    begun = await begin(bench, "")
    for user_code in ("", "BBB-BBB-BBB"):
        with pytest.raises(errors.PermissionDenied):
            await confirm(bench, begun, userCode=user_code)


async def test_codes_cannot_be_guessed(bench: ControlBench) -> None:
    begun = await begin(bench, "")
    tried = 0
    for _ in range(100):
        try:
            await bench.person("DescribeBrowserSignIn", {"userCode": "BBB-BBB-BBB"}, address=FAR)
        except errors.NotFound:
            tried += 1
        except errors.ResourceExhausted:
            await bench.pass_time(SECOND_NS)
    assert tried < 15
    # Nobody else is kept from it.
    assert (await bench.person("DescribeBrowserSignIn", {"userCode": begun.user_code}, address=PHONE)).pending_id


async def test_passwords_and_codes_are_slowed_as_everywhere(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    begun = await begin(bench)
    await confirm(bench, begun)
    with pytest.raises(errors.ResourceExhausted):
        for _ in range(20):
            with pytest.raises(errors.Unauthenticated):
                await approve(bench, begun, address=FAR, email=ANN, password=WRONG)
    failed = [event.reason for event in bench.events if event.kind is SignInEventKind.FAILED]
    assert set(failed) == {"wrong password"} and len(failed) < 10
    browser = (await approve(bench, begun, email=ANN, password=PASSWORD)).browser
    with pytest.raises(errors.ResourceExhausted):
        for _ in range(20):
            with pytest.raises(errors.PermissionDenied):
                await approve(bench, begun, browser, code="000000")


async def test_a_right_code_gives_back_no_more_tries_than_it_took(bench: ControlBench) -> None:
    """Who has a login of his own must not pay with it for guesses at the passwords of others."""
    ann = await sign_up(bench)
    await enrol(bench, ann)
    with pytest.raises(errors.ResourceExhausted):
        for number in range(60):
            await bench.pass_time(STEP_NS)
            with pytest.raises(errors.Unauthenticated):
                await bench.person("SignIn", {"email": f"u{number}@example.com", "password": WRONG}, address=PHONE)
            begun = await begin(bench, address=f"192.0.2.{number}")
            first = await by_password(bench, begun)
            assert (await approve(bench, begun, first.browser, code=totp_code(bench, ann.secret))).url


async def test_it_expires(bench: ControlBench) -> None:
    await sign_up(bench)
    begun, code = await approved(bench)
    waiting, unseen = await begin(bench, ""), await begin(bench)
    await confirm(bench, waiting)
    await bench.pass_time(pending.EXCHANGE_NS)
    with pytest.raises(errors.InvalidArgument):
        await complete(bench, begun, code)
    await bench.pass_time(LIFETIME_NS)
    with pytest.raises(errors.InvalidArgument):
        await complete(bench, waiting)
    with pytest.raises(errors.NotFound):
        await approve(bench, waiting, email=ANN, password=PASSWORD)
    with pytest.raises(errors.NotFound):
        await bench.person("DescribeBrowserSignIn", {"pendingId": unseen.pending_id})
    await Upkeep(bench.database, bench.runtime.clock, SessionLimits()).sweep()
    async with bench.database.reading() as transaction:
        assert await transaction.people.pending(begun.pending_id) is None


async def test_another_password_makes_it_void(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    begun, code = await approved(bench)
    await bench.person("ChangePassword", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}, ann.token)
    with pytest.raises(errors.Unauthenticated):
        await complete(bench, begun, code)


async def test_who_is_no_user_any_more_gets_no_session(bench: ControlBench) -> None:
    ann = await sign_up(bench)
    begun, code = await approved(bench)
    await bench.person("DeleteAccount", {"accountName": "Acme"}, ann.token)
    with pytest.raises(errors.FailedPrecondition):
        await complete(bench, begun, code)


async def test_an_answered_one_is_not_answered_again(bench: ControlBench) -> None:
    await sign_up(bench)
    begun, _ = await approved(bench)
    with pytest.raises(errors.NotFound):
        await confirm(bench, begun)
    with pytest.raises(errors.NotFound):
        await approve(bench, begun, email=ANN, password=PASSWORD)


async def test_one_address_has_so_many_pending_and_no_more(bench: ControlBench) -> None:
    for _ in range(100):
        await begin(bench)
    with pytest.raises(errors.ResourceExhausted, match=r"cloud\.pendingSignInsPerAddress"):
        await begin(bench)
    await begin(bench, address=FAR)
    await bench.pass_time(LIFETIME_NS)
    await begin(bench)
