"""Pages to sign in on: what they say, and what cannot be done with them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from perdure.api.pages import browser as browser_module
from perdure.api.people import pending
from perdure.api.resources.endings import SIGN_ON_REQUIRED
from perdure.infra.rest.application import RestApplication
from perdure.infra.rest.site import Site
from perdure.kernel.clock import VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.runtime import Runtime
from perdure.kernel.transcoding.routes import RouteTable
from tests.support import sign_on
from tests.support.browser import Browser, Page
from tests.support.control_plane import ControlBench, control_bench
from tests.support.people import ANN, BOB, PASSWORD, WRONG, code, enrol, invite, sign_up

NO_RPCS = RestApplication(RouteTable([]), {})

VERIFIER = "v" * 43
LOOPBACK = "http://127.0.0.1:8400/callback"
SCRIPT = "<script>alert(1)</script>"
PAGES = "https://pages.example"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    """Its clock stands still."""
    url, limits = f"sqlite:///{tmp_path}/control-plane.db", ControlLimits(anonymous_requests_per_second=10_000)
    async with control_bench(url, limits, runtime=Runtime(clock=VirtualClock())) as running:
        yield running


@asynccontextmanager
async def a_browser(bench: ControlBench, address: str = "198.51.100.2") -> AsyncIterator[Browser]:
    site = Site([NO_RPCS], {}, bench.control_plane.mounts)
    transport = httpx.ASGITransport(site, client=(address, 1234))
    async with httpx.AsyncClient(transport=transport, base_url=PAGES) as client:
        yield Browser(client)


@pytest.fixture
async def browser(bench: ControlBench) -> AsyncIterator[Browser]:
    async with a_browser(bench) as found:
        yield found


async def begin(bench: ControlBench, redirect_uri: str = LOOPBACK, **more: str) -> Any:
    request = {"codeChallenge": pending.challenge_of(VERIFIER), "redirectUri": redirect_uri, "state": "s", **more}
    return await bench.person("BeginBrowserSignIn", {"clientName": "perdure cloud", **request}, address="192.0.2.77")


async def complete(bench: ControlBench, begun: Any, url: str = "") -> Any:
    found = parse_qs(urlsplit(url).query).get("code", [""])[0]
    request = {"pendingId": begun.pending_id, "codeVerifier": VERIFIER, "code": found}
    return await bench.person("CompleteBrowserSignIn", request)


async def sign_in(browser: Browser, page: Page, email: str = ANN, password: str = PASSWORD) -> Page:
    return await browser.submit(page, "password", email=email, password=password)


# What they are for


async def test_a_password_then_a_code_then_back_to_the_program(bench: ControlBench, browser: Browser) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    begun = await begin(bench)
    page = await browser.open(begun.url)
    assert "perdure cloud" in page.text and "192.0.2.77" in page.text and page.status == 200
    page = await sign_in(browser, page, password=WRONG)
    assert page.status == 401 and "the password is wrong" in page.text
    assert page.form("password").fields["email"] == ANN and not page.form("password").fields["password"]
    page = await sign_in(browser, page)
    assert page.steps == ["code"]
    page = await browser.submit(page, "code", code="000000")
    assert page.status == 403 and "The code is wrong" in page.text
    page = await browser.submit(page, "code", code=ann.recovery_codes[0])
    assert page.refresh.startswith(f"{LOOPBACK}?")
    assert (await complete(bench, begun, page.refresh)).HasField("signed_in")


async def test_a_code_then_who_asks_then_a_password(bench: ControlBench, browser: Browser) -> None:
    ann = await sign_up(bench)
    await enrol(bench, ann)
    begun = await begin(bench, "")
    page = await browser.open(begun.url)
    page = await browser.submit(page, "look", user_code="bcd fgh jkl")
    assert page.status == 404 and "The user code is wrong" in page.text
    page = await browser.submit(page, "look", user_code=begun.user_code.lower().replace("-", " "))
    assert begun.user_code in page.text and "192.0.2.77" in page.text and "sent you the code" in page.text
    page = await browser.submit(page, "confirm")
    assert page.steps == ["password"], "nobody is asked for a password before"
    await bench.pass_time(60 * 10**9)
    page = await browser.submit(await sign_in(browser, page), "code", code=code(bench, ann.secret))
    page = await browser.open(page.refresh)
    assert "You are signed in" in page.text
    assert (await complete(bench, begun)).HasField("signed_in")


async def test_an_account_is_chosen(bench: ControlBench, browser: Browser) -> None:
    await sign_up(bench)
    bob = await sign_up(bench, BOB, "Bob's & Co")
    await invite(bench, bob, ANN)
    await bench.person("AcceptInvitation", {"ticket": await bench.mailed(ANN), "password": PASSWORD})
    begun = await begin(bench)
    page = await sign_in(browser, await browser.open(begun.url))
    assert page.steps == ["account", "account"] and "Bob's & Co" in page.text
    wanted = [form.fields["account"] for form in page.forms].index(bob.account_id)
    page = await browser.submit(page, "account", wanted)
    assert (await complete(bench, begun, page.refresh)).signed_in.session.account_id == bob.account_id


async def test_no_is_an_answer_too(bench: ControlBench, browser: Browser) -> None:
    page = await browser.submit(await browser.open((await begin(bench)).url), "deny")
    assert page.refresh == f"{LOOPBACK}?error=access_denied&state=s"
    begun = await begin(bench, "")
    page = await browser.submit(await browser.open(begun.url), "look", user_code=begun.user_code)
    assert "Nobody is signed in" in (await browser.submit(page, "deny")).text


async def test_a_code_may_be_part_of_the_address_and_is_still_confirmed(bench: ControlBench, browser: Browser) -> None:
    begun = await begin(bench, "")
    page = await browser.open(f"{begun.url}?user_code={begun.user_code}")
    assert page.form("look").fields["user_code"] == begun.user_code
    assert (await browser.submit(page, "look")).steps == ["confirm", "deny"]


# What cannot be done with them


async def every_page(bench: ControlBench, browser: Browser) -> AsyncIterator[Page]:
    begun, by_code = await begin(bench), await begin(bench, "")
    yield (page := await browser.open(begun.url))
    yield await sign_in(browser, page, password=WRONG)
    yield await browser.open(f"{PAGES}/sign-in/nothing")
    yield (page := await browser.open(by_code.url))
    yield await browser.submit(page, "look", user_code="?")
    yield (page := await browser.submit(page, "look", user_code=by_code.user_code))
    yield await browser.submit(page, "deny")
    yield await sign_in(browser, await browser.open((await begin(bench)).url))
    yield await browser.post(begun.url, {})


async def test_what_browsers_are_told_of_every_page(bench: ControlBench, browser: Browser) -> None:
    await sign_up(bench)
    async for page in every_page(bench, browser):
        headers = page.response.headers
        policy = dict(each.strip().split(" ", 1) for each in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["form-action"] == policy["style-src"] == "'self'" and "script-src" not in policy
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert PASSWORD not in page.response.text and WRONG not in page.response.text


async def test_the_style_is_a_file_of_ours(browser: Browser) -> None:
    response = await browser.client.get("/sign-in/style/pages.css")
    assert response.headers["content-type"].startswith("text/css") and "prefers-color-scheme" in response.text


async def test_the_cookie_is_for_this_browser_and_host_alone(bench: ControlBench, browser: Browser) -> None:
    cookie = (await browser.open((await begin(bench)).url)).response.headers["set-cookie"]
    name, _, attributes = cookie.partition("=")
    assert name == "__Host-perdure-browser"
    said = {each.strip().lower() for each in attributes.split(";")[1:]}
    assert said == {"httponly", "secure", "samesite=lax", "path=/"}


@pytest.mark.parametrize("where", ["client_name", "user_agent", "account_name", "email", "user_code", "path"])
async def test_what_strangers_say_is_text(bench: ControlBench, browser: Browser, where: str) -> None:
    attack = f"\"'>{SCRIPT}"
    match where:
        case "client_name":
            page = await browser.open((await begin(bench, clientName=attack)).url)
        case "user_agent":
            begun = await begin(bench)
            async with bench.database.writing() as transaction:
                row = await transaction.people.pending(begun.pending_id)
                assert row is not None
                row.user_agent = attack
            page = await browser.open(begun.url)
        case "account_name":
            await sign_up(bench)
            bob = await sign_up(bench, BOB, "Bob's")
            await invite(bench, bob, ANN)
            await bench.person("AcceptInvitation", {"ticket": await bench.mailed(ANN), "password": PASSWORD})
            async with bench.database.writing() as transaction:
                account = await transaction.resource("account", bob.account_id)
                assert account is not None
                # Names have no such characters today; the page must not depend on it.
                account.details = {**account.details, "title": attack}
            page = await sign_in(browser, await browser.open((await begin(bench)).url))
        case "email":
            page = await sign_in(browser, await browser.open((await begin(bench)).url), email=attack)
            assert page.form("password").fields["email"] == attack
        case "user_code":
            page = await browser.submit(await browser.open(f"{PAGES}/device"), "look", user_code=attack)
            assert page.form("look").fields["user_code"] == attack
        case _:
            page = await browser.open(f"{PAGES}/sign-in/{attack}")
    assert SCRIPT not in page.response.text
    assert (SCRIPT in page.text) == (where in ("client_name", "user_agent", "account_name"))


async def test_a_form_of_another_site_is_refused(bench: ControlBench, browser: Browser) -> None:
    await sign_up(bench)
    begun = await begin(bench)
    page = await browser.open(begun.url)
    fields = {**page.form("password").fields, "email": ANN, "password": PASSWORD}
    for site in ("cross-site", "same-site"):
        assert (await browser.post(begun.url, fields, sec_fetch_site=site)).status == 403
    without = {name: value for name, value in fields.items() if name != "token"}
    for token in ({}, {"token": ""}, {"token": "0" * 64}, {"token": "\u00e9"}):
        assert (await browser.post(begun.url, {**without, **token})).status == 403
    # Nor does one of another page of ours do.
    other = (await browser.open((await begin(bench)).url)).form("password").fields["token"]
    assert (await browser.post(begun.url, {**fields, "token": other})).status == 403
    assert (await browser.post(begun.url, fields)).refresh, "and the right one does"


async def test_a_form_in_another_browser_is_refused(bench: ControlBench, browser: Browser) -> None:
    await sign_up(bench)
    begun = await begin(bench)
    page = await browser.open(begun.url)
    fields = {**page.form("password").fields, "email": ANN, "password": PASSWORD}
    async with a_browser(bench) as other:
        assert (await other.post(begun.url, fields)).status == 403, "without a cookie"
        theirs = await other.open(begun.url)
        assert (await other.post(begun.url, fields)).status == 403, "with a cookie of its own"
        # Who goes on first is the one who goes on.
        assert (await sign_in(browser, page, password=WRONG)).status == 401
        assert "another browser" in (await sign_in(other, theirs)).text


async def test_what_one_browser_has_proven_is_nothing_to_another(bench: ControlBench, browser: Browser) -> None:
    """Somebody has Ann sign in on a page that he has opened too, and waits for the next step."""
    ann = await sign_up(bench)
    await enrol(bench, ann)
    begun = await begin(bench)
    page = await browser.open(begun.url)
    planted = dict(browser.client.cookies)
    page = await sign_in(browser, page)
    assert page.steps == ["code"]
    async with a_browser(bench) as other:
        other.client.cookies.update(planted)
        token = browser_module.token(planted["__Host-perdure-browser"], begun.pending_id)
        fields = {"token": token, "step": "code", "code": ann.recovery_codes[0]}
        assert (await other.post(begun.url, fields)).status == 403
    assert (await browser.submit(page, "code", code=ann.recovery_codes[0])).refresh


async def test_a_link_leads_nobody_past_the_code(bench: ControlBench, browser: Browser) -> None:
    begun = await begin(bench, "")
    page = await browser.open(f"{PAGES}/sign-in/{begun.pending_id}")
    assert page.response.url.path == "/device" and page.steps == ["look"]
    known = browser.client.cookies["__Host-perdure-browser"]
    token = browser_module.token(known, begun.pending_id)
    fields = {"token": token, "step": "password", "email": ANN, "password": PASSWORD}
    await sign_up(bench)
    assert (await browser.post(f"{PAGES}/sign-in/{begun.pending_id}", fields)).status == 403
    confirm = {"token": browser_module.token(known, "/device"), "step": "confirm", "pending": begun.pending_id}
    assert (await browser.post(f"{PAGES}/device", {**confirm, "user_code": ""})).status == 403


async def test_nothing_is_typed_already(browser: Browser) -> None:
    page = await browser.open(f"{PAGES}/device")
    assert page.form("look").fields.get("user_code", "") == ""
    assert 'value="--' not in page.text


@pytest.mark.parametrize("pending_id", ["//evil.example", "..%2f..%2fevil", "https://evil.example", "\\evil", ""])
async def test_a_form_leads_to_no_other_site(bench: ControlBench, browser: Browser, pending_id: str) -> None:
    page = await browser.open(f"{PAGES}/device")
    token = page.form("look").fields["token"]
    fields = {"token": token, "step": "confirm", "pending": pending_id, "user_code": "BCD-FGH-JKL"}
    assert (await browser.post(f"{PAGES}/device", fields)).status == 404
    begun = await begin(bench)
    shown = await browser.open(begun.url)
    sign_on = {"token": shown.form("password").fields["token"], "step": "sign-on", "connection": pending_id}
    assert (await browser.post(begun.url, sign_on)).status == 400


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"step=%ff", "application/x-www-form-urlencoded", 400),
        (b"\xff", "application/x-www-form-urlencoded", 400),
        (b"step=look&step=confirm", "application/x-www-form-urlencoded", 400),
        (b"a=1&" * 100, "application/x-www-form-urlencoded", 400),
        (b"step=" + b"a" * browser_module.FORM_BYTES_MAX, "application/x-www-form-urlencoded", 413),
        (b"", "", 415),
    ],
)
async def test_what_is_no_form(browser: Browser, body: bytes, kind: str, status: int) -> None:
    for path in ("/device", "/sign-in/x"):
        answer = await browser.client.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code == status


async def test_unknown_steps_and_pages(bench: ControlBench, browser: Browser) -> None:
    begun = await begin(bench)
    page = await browser.open(begun.url)
    fields = page.form("password").fields
    assert (await browser.post(begun.url, {**fields, "step": "?"})).status == 400
    assert (await browser.post(begun.url, {**fields, "step": "code", "code": "1"})).status == 403
    assert (await browser.client.get("/sign-in/a/b")).status_code == 404
    assert (await browser.client.put("/device")).status_code == 405
    assert (await browser.client.get("/sign-in/%00")).status_code == 400
    assert (await browser.client.get("/device/")).status_code == 404


# Signing on with an organisation


async def connect(bench: ControlBench, token: str, name: str = "Acme's provider") -> str:
    spec = {
        "displayName": name,
        "oidc": {"issuer": "https://provider.example", "clientId": "c", "clientSecret": "a-secret"},
        "emailDomains": ["example.com"],
    }
    return str((await sign_on.call(bench, token, "CreateSignOnConnection", {"spec": spec})).connection.id)


async def test_somebody_signs_on_with_his_organisation(bench: ControlBench, browser: Browser) -> None:
    ann = await sign_up(bench)
    connection_id = await connect(bench, ann.token)
    for begun, query in (
        (await begin(bench, accountId=ann.account_id), ""),
        # Whom nobody has asked for an account says which it is.
        (await begin(bench), f"?account={ann.account_id}"),
    ):
        page = await browser.open(begun.url + query)
        assert "Continue with Acme's provider" in page.text and "password" in page.steps
        page = await browser.submit(page, "sign-on")
        assert page.refresh == f"/sign-on/{connection_id}/start?request={begun.pending_id}"
        known = browser.client.cookies["__Host-perdure-browser"]
        async with bench.database.writing() as transaction:
            row = await pending.confirmed(transaction, begun.pending_id, known, bench.runtime.clock.now_ns())
            assert row.browser_hash


async def test_nobody_signs_on_by_a_link_to_the_provider(bench: ControlBench, browser: Browser) -> None:
    """Who is signed in at the provider would be sent back at once: he has to have said yes here before."""
    ann = await sign_up(bench)
    connection_id = await connect(bench, ann.token)
    begun = await begin(bench, accountId=ann.account_id)
    start = f"/sign-on/{connection_id}/start?request={begun.pending_id}"
    await browser.open(begun.url)
    site = Site([NO_RPCS], {}, bench.control_plane.mounts)
    transport = httpx.ASGITransport(site)
    async with httpx.AsyncClient(transport=transport, base_url=PAGES, cookies=browser.client.cookies) as client:
        refused = await client.get(start)
        assert refused.status_code == 403 and "not confirmed" in refused.text


async def test_only_owners_have_a_password_where_sign_on_is_asked_for(bench: ControlBench, browser: Browser) -> None:
    ann = await sign_up(bench)
    await connect(bench, ann.token)
    async with bench.database.writing() as transaction:
        account = await transaction.resource("account", ann.account_id)
        assert account is not None
        account.details = {**account.details, SIGN_ON_REQUIRED: True}
    begun = await begin(bench, accountId=ann.account_id)
    page = await browser.open(begun.url)
    assert page.steps == ["sign-on", "deny"] and "as an owner" in page.text
    page = await browser.open(f"{begun.url}?owner=1")
    assert "password" in page.steps
    assert (await sign_in(browser, page)).refresh, "who is one comes in"


async def test_a_password_is_no_way_around_sign_on(bench: ControlBench, browser: Browser) -> None:
    await sign_up(bench)
    bob = await sign_up(bench, BOB, "Bob's")
    await invite(bench, bob, ANN)
    await bench.person("AcceptInvitation", {"ticket": await bench.mailed(ANN), "password": PASSWORD})
    await connect(bench, bob.token)
    async with bench.database.writing() as transaction:
        account = await transaction.resource("account", bob.account_id)
        assert account is not None
        account.details = {**account.details, SIGN_ON_REQUIRED: True}
    page = await browser.open(f"{(await begin(bench, accountId=bob.account_id)).url}?owner=1")
    page = await sign_in(browser, page)
    assert page.status == 400 and "A password is not enough" in page.text
    # She is asked for no choice where there is only one left.
    begun = await begin(bench)
    page = await sign_in(browser, await browser.open(begun.url))
    assert (await complete(bench, begun, page.refresh)).signed_in.session.account_id != bob.account_id


async def test_names_of_connections_are_text(bench: ControlBench, browser: Browser) -> None:
    ann = await sign_up(bench)
    connection_id = await connect(bench, ann.token)
    async with bench.database.writing() as transaction:
        row = await transaction.resource("sign-on connection", connection_id)
        assert row is not None
        row.name = SCRIPT
    page = await browser.open((await begin(bench, accountId=ann.account_id)).url)
    assert SCRIPT in page.text and SCRIPT not in page.response.text
    page = await browser.open(f"{(await begin(bench)).url}?account={SCRIPT}&owner={SCRIPT}")
    assert SCRIPT in page.text and SCRIPT not in page.response.text
