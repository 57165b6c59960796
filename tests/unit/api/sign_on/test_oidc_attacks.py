"""What others may try on the way to an OpenID Connect provider and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import RSAKey

from perdure.api.outgoing.calls import CallFailed
from perdure.api.people.events import SignInEventKind
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from tests.support.control_plane import ControlBench
from tests.support.oidc_provider import CLIENT_SECRET, ISSUER, OidcProvider, spec
from tests.support.people import sign_up
from tests.support.sign_on import Browser, call
from tests.unit.api.sign_on.conftest import Acme, reach

BOB = "bob@acme.example"
FORM = "application/x-www-form-urlencoded"


async def attempt(acme: Acme, email: str = BOB, **claims: Any) -> httpx.Response:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), email, **claims)
    return await browser.open(back)


async def refused(acme: Acme, reason: str, email: str = BOB, **claims: Any) -> None:
    """Nobody is let in or made, and why is told to the account and not to whoever comes."""
    answer = await attempt(acme, email, **claims)
    assert answer.status_code == 403
    assert list(await acme.users()) == [acme.owner.email]
    (failed,) = [event for event in acme.bench.events if event.kind is SignInEventKind.FAILED]
    assert reason in failed.reason, failed.reason
    assert reason not in answer.text


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "\ud800"}, "text that is none"),
        ({"iss": "https://login.evil.example"}, "issuer"),
        ({"aud": "another-client"}, "another-client"),
        ({"aud": ["perdure", "another"], "azp": "another"}, "another"),
        ({"azp": "another"}, "azp"),
        ({"at_hash": "another"}, "at_hash"),
        ({"exp": 1}, "expired"),
        ({"sub": None}, "sub"),
        ({"email_verified": False}, "not verified"),
        ({"email_verified": "false"}, "not verified"),
        ({"email": None}, "which e-mail address"),
        ({"email": ["bob@acme.example"]}, "which e-mail address"),
        ({"email": "bob@evil.example, bob@acme.example"}, "no e-mail address"),
        ({"email": "bob@evil.example\x00@acme.example"}, "no e-mail address"),
        # The sign of the unit, which is folded to a k.
        ({"email": "\u212aim@acme.example"}, "beyond ASCII"),
    ],
)
async def test_a_token_that_does_not_fit(acme: Acme, claims: dict[str, Any], reason: str) -> None:
    acme.provider.claims = claims
    await refused(acme, reason)


async def test_a_token_without_signature(acme: Acme) -> None:
    acme.provider.header = {"alg": "none"}
    await refused(acme, "ID token is not accepted")


async def test_a_token_signed_with_the_public_key_as_if_it_were_shared(acme: Acme) -> None:
    acme.provider.header = {"alg": "HS256"}
    await refused(acme, "ID token is not accepted")


async def test_a_token_signed_by_somebody_else(acme: Acme) -> None:
    acme.provider.signs_with = RSAKey.generate_key(2048, {"kid": "first"})
    await refused(acme, "ID token is not accepted")


async def test_a_provider_may_change_its_keys(acme: Acme) -> None:
    await acme.sign_on(BOB)
    acme.provider.key = RSAKey.generate_key(2048, {"kid": "second"})
    await acme.bench.pass_time(60 * SECOND_NS)
    await acme.sign_on(BOB)


async def test_the_answer_to_another_browser(acme: Acme) -> None:
    """Login CSRF: somebody has a victim's browser deliver his own answer, or gets hold of the victim's."""
    browser, other = Browser(acme.bench), Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    assert (await other.open(back)).status_code == 403
    assert not (await browser.exchange(pending_id)).token
    # The way of the one who has begun is open still.
    assert (await browser.open(back)).status_code == 303


async def test_an_answer_is_good_once(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    cookies = httpx.Cookies(browser.client.cookies)
    assert (await browser.open(back)).status_code == 303
    browser.client.cookies = cookies
    assert (await browser.open(back)).status_code == 403


async def test_an_answer_comes_in_time_or_not_at_all(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    await acme.bench.pass_time(600 * SECOND_NS)
    assert (await browser.open(back)).status_code == 403


async def test_the_code_of_another_flow(acme: Acme) -> None:
    """Somebody has stolen a code and brings it in a browser of his own."""
    victim, thief = Browser(acme.bench), Browser(acme.bench)
    url = await victim.set_out(acme.connection_id, await victim.begin(acme.owner.account_id))
    stolen = httpx.URL(acme.provider.sign_in(url, BOB)).params["code"]
    own = await thief.set_out(acme.connection_id, await thief.begin(acme.owner.account_id))
    back = httpx.URL(acme.provider.sign_in(own, "x@acme.example")).copy_set_param("code", stolen)
    answer = await thief.open(str(back))
    assert answer.status_code == 403
    assert BOB not in await acme.users()


async def test_the_answer_of_one_connection_at_another(acme: Acme) -> None:
    other = await acme.call("CreateSignOnConnection", {"spec": spec(displayName="Second")})
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    moved = back.replace(acme.connection_id, other.connection.id)
    assert (await browser.open(moved)).status_code == 403


async def test_connections_have_addresses_of_their_own(acme: Acme) -> None:
    """Otherwise a hostile provider could send browsers on to another one, and have its answer brought to us as its own
    (mix-up).
    """
    other = await acme.call("CreateSignOnConnection", {"spec": spec(displayName="Second")})
    first = (await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})).connection
    assert first.return_url == f"https://pages.example/sign-on/{acme.connection_id}/callback"
    assert first.return_url != other.connection.return_url
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    answer = await browser.open(f"{back}&iss=https://login.evil.example")
    assert answer.status_code == 403


async def test_a_sign_in_that_nobody_has_confirmed(acme: Acme) -> None:
    """Somebody sends a link that would sign the victim in for a program of the sender's."""
    attacker, victim = Browser(acme.bench), Browser(acme.bench)
    pending_id = await attacker.begin(acme.owner.account_id)
    answer = await victim.client.get(f"/sign-on/{acme.connection_id}/start", params={"request": pending_id})
    assert answer.status_code == 403
    assert "location" not in answer.headers


async def test_a_sign_in_for_another_account(acme: Acme) -> None:
    other = await sign_up(acme.bench, "carl@other.example", "Other")
    browser = Browser(acme.bench)
    pending_id = await browser.begin(other.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    assert (await browser.open(back)).status_code == 403
    assert not (await browser.exchange(pending_id)).token
    assert BOB not in await acme.users()


async def test_a_connection_that_is_changed_meanwhile(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    await acme.update(spec(displayName="Changed"))
    answer = await browser.open(back)
    assert answer.status_code == 403
    assert "changed meanwhile" in answer.text


async def test_what_was_approved_by_a_connection_ends_with_it(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    assert (await browser.open(back)).status_code == 303
    await acme.update(spec(emailDomains=["acme.test"]))
    with pytest.raises(errors.InvalidArgument):
        await browser.exchange(pending_id)


async def test_the_provider_says_no(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = httpx.URL(acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB))
    denied = back.copy_remove_param("code").copy_merge_params({"error": "access_denied", "error_description": "<b>x"})
    answer = await browser.open(str(denied))
    assert answer.status_code == 403
    assert "<b>" not in answer.text
    (failed,) = [event for event in acme.bench.events if event.kind is SignInEventKind.FAILED]
    assert "access_denied" in failed.reason


async def test_a_provider_that_is_away(acme: Acme) -> None:
    acme.provider.is_away = True
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    answer = await browser.client.get(f"/sign-on/{acme.connection_id}/start", params={"request": pending_id})
    assert answer.status_code == 403
    (failed,) = [event for event in acme.bench.events if event.kind is SignInEventKind.FAILED]
    assert "does not answer" in failed.reason
    # Nothing was answered that could not have been accepted, and he can try again.
    assert "could not be reached" in answer.text and "not accepted" not in answer.text
    assert f'href="/sign-in/{pending_id}"' in answer.text


@pytest.mark.parametrize("path", ["start", "callback", "acs", "metadata", "nothing"])
@pytest.mark.parametrize("given", ["%00", "%ff", "..%2f..", "x" * 5000, "' or 1=1 --", "%f0%9f%92%a9"])
async def test_what_strangers_send_is_answered(acme: Acme, path: str, given: str) -> None:
    browser = Browser(acme.bench)
    for connection_id in (given, acme.connection_id):
        url = f"/sign-on/{connection_id}/{path}?request={given}&test={given}&state={given}&code={given}&iss={given}"
        assert (await browser.client.get(url)).status_code in (403, 404, 405)
        answer = await browser.client.post(
            url, content=f"RelayState={given}&SAMLResponse={given}", headers={"content-type": FORM}
        )
        assert answer.status_code in (400, 403, 404, 405)


async def test_who_only_looks_uses_nothing_up(acme: Acme) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    assert (await browser.client.head(back)).status_code == 405
    assert (await browser.open(back)).status_code == 303


async def test_an_address_is_slowed_down(acme: Acme) -> None:
    browser = Browser(acme.bench, "203.0.113.7")
    pending_id = await browser.begin(acme.owner.account_id)
    answers = [
        await browser.client.get(f"/sign-on/{acme.connection_id}/start", params={"request": pending_id})
        for _ in range(40)
    ]
    assert "Too many attempts" in answers[-1].text


async def test_providers_within_our_network_are_not_asked(bench: ControlBench) -> None:
    """The calls are not replaced here: what a tenant names goes through the guard of addresses."""
    owner = await sign_up(bench, "ann@acme.example")
    inside = spec(oidc={"issuer": "https://127.0.0.1:1", "clientId": "c"})
    made = await call(bench, owner.token, "CreateSignOnConnection", {"spec": inside})
    browser = Browser(bench)
    pending_id = await browser.begin(owner.account_id)
    answer = await browser.client.get(f"/sign-on/{made.connection.id}/start", params={"request": pending_id})
    assert answer.status_code == 403
    (failed,) = [event for event in bench.events if event.kind is SignInEventKind.FAILED]
    assert "must not be called" in failed.reason


async def test_nothing_secret_is_shown_or_written(
    acme: Acme, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = Browser(acme.bench)
    pending_id = await browser.begin(acme.owner.account_id)
    back = acme.provider.sign_in(await browser.set_out(acme.connection_id, pending_id), BOB)
    code, state = httpx.URL(back).params["code"], httpx.URL(back).params["state"]
    acme.provider.claims = {"nonce": "wrong"}
    answer = await browser.open(back)
    shown = await acme.call("GetSignOnConnection", {"connectionId": acme.connection_id})
    log = (await acme.bench.call(acme.owner.token, "GetAuditLogs")).logs
    written = "".join(capfd.readouterr())
    path = Path(acme.bench.url.removeprefix("sqlite://"))
    database = b"".join(each.read_bytes() for each in path.parent.glob(f"{path.name}*"))
    for secret in (CLIENT_SECRET, *browser.client.cookies.values()):
        assert secret not in answer.text + str(shown) + str(log) + written
        assert secret.encode() not in database
    for secret in (code, state):
        assert secret not in answer.text + str(shown) + str(log) + written


async def test_another_way_for_the_client_to_show_itself(bench: ControlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = OidcProvider(bench.runtime.clock, methods=["client_secret_post"])
    reach(bench, provider, monkeypatch)
    owner = await sign_up(bench, "ann@acme.example")
    made = await call(bench, owner.token, "CreateSignOnConnection", {"spec": spec()})
    acme = Acme(bench, provider, owner, made.connection.id)
    assert (await acme.sign_on(BOB)).token


async def test_a_changed_issuer_is_not_told_the_secret_of_the_one_before(acme: Acme) -> None:
    """Whoever may change the connection could have it sent to himself otherwise."""
    assert ISSUER != "https://login.evil.example"
    keeps = spec(displayName="Renamed", oidc={"issuer": ISSUER, "clientId": "perdure"})
    await acme.update(keeps)
    assert (await acme.sign_on(BOB)).token
    evil = OidcProvider(acme.bench.runtime.clock, issuer="https://login.evil.example")
    bodies: list[str] = []

    async def post(url: str, body: bytes, headers: dict[str, str], bytes_max: int) -> tuple[int, bytes]:
        bodies.append(body.decode() + str(headers))
        raise CallFailed("enough", is_theirs=True)

    acme.bench.control_plane.calls.get = evil.get  # type: ignore[method-assign]
    acme.bench.control_plane.calls.post = post  # type: ignore[method-assign]
    await acme.update(spec(oidc={"issuer": evil.issuer, "clientId": "perdure"}))
    browser = Browser(acme.bench)
    url = await browser.set_out(acme.connection_id, await browser.begin(acme.owner.account_id))
    await browser.open(evil.sign_in(url, BOB))
    assert bodies
    assert "Basic" not in bodies[0]
    assert "client_secret" not in bodies[0]
