"""Signing in with a browser for a program: what the page and the program do, and what others may try."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from perdure.api.people import pending
from perdure.api.people.events import SignInEventKind
from tests.support.control_plane import ControlBench
from tests.support.people import ANN, PASSWORD, sign_up

VERIFIER = "v" * 43
CHALLENGE = pending.challenge_of(VERIFIER)
LOOPBACK = "http://127.0.0.1:8400/callback"
BROWSER, OTHER_BROWSER = "a1" * 32, "b2" * 32
LAPTOP, PHONE, FAR = "198.51.100.1", "198.51.100.2", "203.0.113.9"


async def begin(bench: ControlBench, redirect_uri: str = LOOPBACK, address: str = LAPTOP, **more: str) -> Any:
    request = {"codeChallenge": CHALLENGE, "redirectUri": redirect_uri, "clientName": "perdure", **more}
    return await bench.person("BeginBrowserSignIn", request, address=address)


async def confirm(bench: ControlBench, begun: Any, browser: str = BROWSER, **more: Any) -> None:
    request = {"pendingId": begun.pending_id, "userCode": begun.user_code, "browser": browser, **more}
    await bench.person("ConfirmBrowserSignIn", request, address=PHONE)


async def approve(bench: ControlBench, begun: Any, browser: str = BROWSER, **more: str) -> Any:
    request = {"pendingId": begun.pending_id, "browser": browser, **more}
    return await bench.person("ApproveBrowserSignIn", request, address=PHONE)


async def by_password(bench: ControlBench, begun: Any, **more: str) -> Any:
    await confirm(bench, begun)
    return await approve(bench, begun, email=ANN, password=PASSWORD, **more)


async def complete(bench: ControlBench, begun: Any, code: str = "", verifier: str = VERIFIER) -> Any:
    request = {"pendingId": begun.pending_id, "codeVerifier": verifier, "code": code}
    return await bench.person("CompleteBrowserSignIn", request, address=LAPTOP)


def brought(url: str) -> str:
    """The code that the browser brings."""
    return parse_qs(urlsplit(url).query)["code"][0]


async def whoami(bench: ControlBench, token: str) -> str:
    return str((await bench.person("GetPerson", {}, token)).email)


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
