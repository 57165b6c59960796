"""What is secret is in no log, no error and no table."""

from __future__ import annotations

import logging
import sqlite3
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog

from perdure.api.people.pending import challenge_of
from perdure.kernel import errors
from perdure.kernel.namespace import DAY_NS
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, BOB, OTHER_PASSWORD, PASSWORD, WRONG, code, enrol, invite, sign_in, sign_up

VERIFIER = "a-verifier-that-nobody-else-is-to-know-of-at-all"
BROWSER = "c3" * 32


async def test_no_secret_is_written_anywhere(
    bench: ControlBench, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    # As in production: what libraries say in detail is never written.
    caplog.set_level(logging.WARNING)
    with structlog.testing.capture_logs() as logs:
        ann = await sign_up(bench)
        sign_up_ticket = await bench.mailed(ANN)
        await enrol(bench, ann)
        user_id = await invite(bench, ann)
        invitation = await bench.mailed(BOB)
        await bench.person("ResendInvitation", {"userId": user_id}, ann.token)
        await bench.person("RequestPasswordReset", {"email": ANN})
        reset = await bench.mailed(ANN)
        key = await bench.person(
            "CreateUserApiKey", {"displayName": "mine", "expiryTime": bench.time_in(DAY_NS)}, ann.token
        )
        second = await sign_in(bench, code=ann.recovery_codes[0])
        refusals = []
        for rpc, request in {
            "ChangePassword": {"password": WRONG, "newPassword": OTHER_PASSWORD},
            "DisableMfa": {"password": WRONG, "code": ann.recovery_codes[1]},
            "RenewRecoveryCodes": {"password": WRONG, "code": ann.recovery_codes[2]},
            "ConfirmMfa": {"code": ann.recovery_codes[3]},
            "JoinAccount": {"ticket": invitation},
        }.items():
            with pytest.raises(errors.ServiceError) as refused:
                await bench.person(rpc, request, second)
            refusals.append(f"{refused.value.message} {refused.value.detail}")
        changed = await bench.person("ChangePassword", {"password": PASSWORD, "newPassword": OTHER_PASSWORD}, second)
        assert not changed.ListFields()
        for rpc, request in {
            "SignIn": {"email": ANN, "password": WRONG, "code": code(bench, ann.secret)},
            "VerifyEmail": {"ticket": invitation, "password": WRONG},
            "ResetPassword": {"ticket": reset, "newPassword": "too short"},
            "AcceptInvitation": {"ticket": sign_up_ticket, "password": WRONG},
            "SignUp": {"email": "x", "password": OTHER_PASSWORD, "accountName": "?"},
        }.items():
            with pytest.raises(errors.ServiceError) as refused:
                await bench.person(rpc, request)
            refusals.append(f"{refused.value.message} {refused.value.detail}")
        with pytest.raises(errors.Unauthenticated) as unknown:
            await bench.call(second[:-1] + ("x" if second[-1] != "x" else "y"), "GetAccount")
        refusals.append(unknown.value.message)
        await bench.pass_time(DAY_NS)
        program, browser, brought = await sign_in_by_browser(bench, ann.recovery_codes[4])

    secrets = [PASSWORD, WRONG, OTHER_PASSWORD, "too short", ann.secret, *ann.recovery_codes]
    secrets += [VERIFIER, BROWSER, browser, brought]
    tokens = [ann.token, second, key.token, program, sign_up_ticket, invitation, reset]
    secrets += [token.split("_")[2][:-6] for token in tokens]
    out, err = capfd.readouterr()
    written = "\n".join([str(logs), caplog.text, out, err, *refusals, str(bench.events)])
    assert not [secret for secret in secrets if secret in written]
    with sqlite3.connect(bench.url.removeprefix("sqlite://")) as database:
        dump = "\n".join(database.iterdump())
    assert not [secret for secret in secrets if secret in dump]


async def sign_in_by_browser(bench: ControlBench, code: str) -> tuple[str, str, str]:
    """The session, what the browser is known by in the end, and the code that it brought. One way is left half-way."""
    request = {"codeChallenge": challenge_of(VERIFIER), "redirectUri": "http://127.0.0.1:8400/"}
    for _ in range(2):
        begun = await bench.person("BeginBrowserSignIn", request)
        step = {"pendingId": begun.pending_id, "browser": BROWSER}
        await bench.person("ConfirmBrowserSignIn", step)
        first = await bench.person("ApproveBrowserSignIn", {**step, "email": ANN, "password": OTHER_PASSWORD})
    step["browser"] = first.browser
    answer = await bench.person("ApproveBrowserSignIn", {**step, "code": code})
    brought = parse_qs(urlsplit(answer.url).query)["code"][0]
    exchange = {"pendingId": begun.pending_id, "codeVerifier": VERIFIER, "code": brought}
    with pytest.raises(errors.InvalidArgument):
        await bench.person("CompleteBrowserSignIn", {**exchange, "code": "0" * 64})
    answer = await bench.person("CompleteBrowserSignIn", exchange)
    return answer.signed_in.token, first.browser, brought
