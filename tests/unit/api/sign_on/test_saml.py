"""Signing on with a SAML provider, from the browser's request to the session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from lxml import etree

from perdure.api.people.events import SignInEventKind
from perdure.kernel.clock import SECOND_NS
from tests.support.control_plane import ControlBench
from tests.support.oidc_provider import spec
from tests.support.people import Person, sign_up
from tests.support.saml_provider import ENTITY_ID, SIGN_ON_URL, SamlProvider, asked, attribute, form
from tests.support.sign_on import PAGES, Browser, call

BOB = "bob@acme.example"


@dataclass
class Saml:
    bench: ControlBench
    provider: SamlProvider
    owner: Person
    connection_id: str

    async def set_out(self, browser: Browser) -> tuple[str, str]:
        """The pending sign-in, and where the browser is sent."""
        pending_id = await browser.begin(self.owner.account_id)
        return pending_id, await browser.set_out(self.connection_id, pending_id)

    async def deliver(self, browser: Browser, fields: dict[str, str], connection_id: str = "") -> httpx.Response:
        return await browser.client.post(f"/sign-on/{connection_id or self.connection_id}/acs", data=fields)

    async def refused(self, reason: str, **changes: Any) -> None:
        browser = Browser(self.bench)
        pending_id, url = await self.set_out(browser)
        answer = await self.deliver(browser, self.provider.answer(url, **changes))
        assert answer.status_code == 403
        assert not (await browser.exchange(pending_id)).token
        (failed,) = [event for event in self.bench.events if event.kind is SignInEventKind.FAILED]
        assert reason in failed.reason, failed.reason


@pytest.fixture
async def saml(bench: ControlBench) -> Saml:
    now = datetime.fromtimestamp(bench.runtime.clock.now_ns() // SECOND_NS, UTC)
    provider = SamlProvider(now)
    owner = await sign_up(bench, "ann@acme.example")
    saml_spec = {
        "entityId": ENTITY_ID,
        "signOnUrl": SIGN_ON_URL,
        "signingCertificates": [provider.certificate],
    }
    mappings = [{"group": "engineers", "access": {"accountRole": "developer"}}]
    described = spec(saml=saml_spec, oidc=None, groupsClaim="groups", groupMappings=mappings)
    made = await call(bench, owner.token, "CreateSignOnConnection", {"spec": described})
    return Saml(bench, provider, owner, made.connection.id)


@pytest.mark.parametrize("signs", ["assertion", "response", "both"])
async def test_from_the_question_to_the_session(saml: Saml, signs: str) -> None:
    browser = Browser(saml.bench)
    pending_id, url = await saml.set_out(browser)
    assert url.startswith(SIGN_ON_URL + "&SAMLRequest=")
    answer = await saml.deliver(browser, saml.provider.answer(url, signs=signs))
    assert answer.status_code == 303, answer.text
    token = (await browser.exchange(pending_id)).token
    person = await saml.bench.person("GetPerson", {}, token)
    assert person.email == BOB
    (user,) = [each for each in (await saml.bench.call(saml.owner.token, "GetUsers")).users if each.spec.email == BOB]
    assert user.spec.access.account_access.role_deprecated == "developer"


async def test_the_cookie_comes_along_with_a_form_of_another_site(saml: Saml) -> None:
    browser = Browser(saml.bench)
    pending_id = await browser.begin(saml.owner.account_id)
    answer = await browser.client.get(f"/sign-on/{saml.connection_id}/start", params={"request": pending_id})
    cookie = answer.headers["set-cookie"].lower()
    assert all(part in cookie for part in ("samesite=none", "secure", "httponly", "path=/", "__host-"))


async def test_our_metadata_say_what_our_requests_say(saml: Saml) -> None:
    browser = Browser(saml.bench)
    shown = await call(saml.bench, saml.owner.token, "GetSignOnConnection", {"connectionId": saml.connection_id})
    metadata = etree.fromstring((await browser.open(shown.connection.metadata_url)).content)
    _, url = await saml.set_out(browser)
    request, _ = asked(url)
    acs = metadata.find(".//{*}AssertionConsumerService").get("Location")
    assert request.get("AssertionConsumerServiceURL") == acs == shown.connection.return_url
    assert request.findtext("{*}Issuer") == metadata.get("entityID") == shown.connection.metadata_url
    assert acs.startswith(PAGES)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"signs": "nothing"}, "not signed"),
        ({"name_id": "bob@evil.example"}, "evil.example"),
        ({"name_id": "bob"}, "no e-mail address"),
        ({"recipient": "https://pages.example/sign-on/other/acs"}, "Recipient"),
        ({"audience": ""}, "Audience"),
        ({"until": "2001-01-01T00:00:00Z"}, "expired"),
        ({"confirms": "_another"}, "InResponseTo"),
        ({"status": "Responder"}, "nobody was signed in"),
    ],
)
async def test_an_answer_that_proves_nothing(saml: Saml, changes: dict[str, str], reason: str) -> None:
    await saml.refused(reason, **changes)


async def test_several_addresses_are_none(saml: Saml) -> None:
    attributes = attribute("email", BOB) + attribute("mail", "ann@acme.example")
    await saml.refused("several", name_format="persistent", name_id="x", attributes=attributes)


async def test_the_address_may_be_an_attribute(saml: Saml) -> None:
    browser = Browser(saml.bench)
    pending_id, url = await saml.set_out(browser)
    fields = saml.provider.answer(url, name_format="persistent", name_id="x", attributes=attribute("mail", BOB))
    assert (await saml.deliver(browser, fields)).status_code == 303
    assert (await browser.exchange(pending_id)).token


async def test_another_provider_with_a_key_of_its_own(saml: Saml) -> None:
    saml.provider = SamlProvider(saml.provider.now)
    await saml.refused("none of the connection's certificates")


async def test_an_answer_is_good_once_and_in_its_own_browser(saml: Saml) -> None:
    browser, other = Browser(saml.bench), Browser(saml.bench)
    _, url = await saml.set_out(browser)
    fields = saml.provider.answer(url)
    assert (await saml.deliver(other, fields)).status_code == 403
    cookies = httpx.Cookies(browser.client.cookies)
    assert (await saml.deliver(browser, fields)).status_code == 303
    browser.client.cookies = cookies
    assert (await saml.deliver(browser, fields)).status_code == 403


async def test_the_answer_to_another_request_of_the_same_browser(saml: Saml) -> None:
    """Replayed under a request that is open: the assertion itself says which one it answers."""
    browser = Browser(saml.bench)
    _, first = await saml.set_out(browser)
    fields = saml.provider.answer(first)
    assert (await saml.deliver(browser, fields)).status_code == 303
    _, second = await saml.set_out(browser)
    _, relay_state = asked(second)
    answer = await saml.deliver(browser, {**fields, "RelayState": relay_state})
    assert answer.status_code == 403


async def test_what_the_provider_begins_is_refused_with_advice(saml: Saml) -> None:
    browser = Browser(saml.bench)
    response = saml.provider.response("", f"{PAGES}/sign-on/{saml.connection_id}/acs", "us")
    answer = await saml.deliver(browser, form(response, ""))
    assert answer.status_code == 403
    assert "has to begin here" in answer.text


async def test_an_open_id_connect_answer_to_a_saml_request(saml: Saml) -> None:
    browser = Browser(saml.bench)
    _, url = await saml.set_out(browser)
    _, relay_state = asked(url)
    answer = await browser.client.get(
        f"/sign-on/{saml.connection_id}/callback", params={"state": relay_state, "code": "x"}
    )
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"SAMLResponse=x&RelayState=a&RelayState=b", "application/x-www-form-urlencoded", 400),
        (b"x" * 600_000, "application/x-www-form-urlencoded", 413),
        (b"{}", "application/json", 415),
        (b"\xff\xfe", "application/x-www-form-urlencoded", 400),
    ],
)
async def test_what_is_no_form(saml: Saml, body: bytes, kind: str, status: int) -> None:
    browser = Browser(saml.bench)
    path = f"/sign-on/{saml.connection_id}/acs"
    answer = await browser.client.post(path, content=body, headers={"content-type": kind})
    assert answer.status_code == status
