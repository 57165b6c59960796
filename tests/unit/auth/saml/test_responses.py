"""Answers of SAML providers: what is believed, and what is not. They are signed by libxmlsec1."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import xmlsec
from lxml import etree

from perdure.auth.saml.documents import SamlRefused
from perdure.auth.saml.responses import BYTES_MAX, Assertion, Expected, Provider, decoded, verified
from tests.support.saml_provider import (
    ENTITY_ID,
    SamlProvider,
    assertion_of,
    attribute,
    audience,
    signature_of,
)

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ACS, US = "https://pages.example/sign-on/c/acs", "https://pages.example/sign-on/c/metadata"
EXPECTED = Expected("_request", US, ACS)
IDP, OTHER = SamlProvider(NOW), SamlProvider(NOW)
PROVIDER = Provider(ENTITY_ID, [IDP.certificate])
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"


def made(**changes: Any) -> etree._Element:
    return IDP.response("_request", ACS, US, **changes)


def signed(**changes: Any) -> etree._Element:
    response = made(**changes)
    return IDP.sign(assertion_of(response))


def read(response: etree._Element | bytes, now: datetime = NOW, provider: Provider = PROVIDER) -> Assertion:
    return verified(response if isinstance(response, bytes) else etree.tostring(response), provider, EXPECTED, now)


def refuse(response: etree._Element | bytes, reason: str, now: datetime = NOW) -> None:
    with pytest.raises(SamlRefused, match=reason):
        read(response, now)


def test_a_signed_assertion() -> None:
    found = read(signed())
    assert found.name_id == "bob@acme.example"
    assert found.attributes == {"groups": ["engineers", "everybody"]}


def test_an_assertion_in_a_signed_response() -> None:
    assert read(IDP.sign(made())).name_id == "bob@acme.example"


def test_both_signed_must_both_be_good() -> None:
    both = IDP.sign(signed())
    assert read(both).name_id == "bob@acme.example"
    both.set("IssueInstant", "2026-11-23T12:00:01Z")
    refuse(both, "changed after")


def test_either_of_two_certificates() -> None:
    provider = Provider(ENTITY_ID, [OTHER.certificate, IDP.certificate])
    assert read(signed(), provider=provider).name_id == "bob@acme.example"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"issuer": "https://idp.evil.example"}, "another provider"),
        ({"audience": audience("https://other.example")}, "another service"),
        ({"audience": ""}, "which service"),
        ({"audience": audience(US) + audience("https://other.example")}, "another service"),
        ({"recipient": "https://other.example/acs"}, "Recipient"),
        ({"destination": "https://other.example/acs"}, "Destination"),
        ({"in_response_to": "_another"}, "InResponseTo"),
        ({"confirms": "_another"}, "InResponseTo"),
        ({"confirms": ""}, "InResponseTo"),
        ({"method": "sender-vouches"}, "whoever brings it"),
        ({"status": "Responder"}, "nobody was signed in"),
        ({"until": "2026-11-23T11:58:59Z"}, "expired"),
        ({"until": "soon"}, "not a time"),
        ({"since": "2026-11-23T12:02:00Z"}, "not good yet"),
        (
            {"conditions": '<saml:Condition xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="x"/>'},
            "condition that is not known",
        ),
    ],
)
def test_one_that_is_for_something_else(changes: dict[str, str], reason: str) -> None:
    refuse(signed(**changes), reason)


def test_one_that_came_too_late() -> None:
    response = signed()
    assert read(response, NOW + timedelta(minutes=5, seconds=59))
    refuse(response, "expired", NOW + timedelta(minutes=6))


def test_times_at_the_ends_of_the_calendar() -> None:
    assert read(signed(until="9999-12-31T23:59:59Z", since="0001-01-01T00:00:00Z"))
    refuse(signed(since="0001-01-01T00:00:00+14:00"), "not a time")


def test_no_signature() -> None:
    refuse(made(), "not signed")


def test_another_key() -> None:
    refuse(OTHER.sign(assertion_of(made())), "none of the connection's certificates")


def test_a_signature_by_a_method_that_is_broken() -> None:
    response = made()
    IDP.sign(assertion_of(response), xmlsec.Transform.SHA1, xmlsec.Transform.RSA_SHA1)
    refuse(response, "none of the connection's certificates")


def test_a_digest_by_a_method_that_is_broken() -> None:
    response = made()
    IDP.sign(assertion_of(response), xmlsec.Transform.SHA1)
    refuse(response, "none of the connection's certificates|changed")


def test_a_certificate_that_has_expired() -> None:
    late = NOW + timedelta(days=31)
    response = IDP.response("_request", ACS, US, until=f"{late + timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}")
    refuse(IDP.sign(assertion_of(response)), "certificate .* not valid now", late)


@pytest.mark.parametrize("path", ["NameID", "Audience", "AttributeValue", "Issuer"])
def test_a_change_after_it_was_signed(path: str) -> None:
    response = signed()
    (assertion_of(response).find(f".//{{{SAML}}}{path}")).text = "eve@acme.example"
    refuse(response, "changed after")


def evil(response: etree._Element) -> etree._Element:
    """An assertion about somebody else, with the id of the true one or another, and no signature of its own."""
    forged = copy.deepcopy(assertion_of(response))
    forged.remove(signature_of(forged))
    forged.find(f".//{{{SAML}}}NameID").text = "eve@acme.example"
    return forged


def wrappings() -> dict[str, etree._Element]:
    """The eight forms of Somorovsky et al., "On Breaking SAML" (2012), as far as they differ for an assertion."""
    found = {}

    first = signed()
    forged = evil(first)
    forged.set("ID", "_evil")
    first.insert(2, forged)
    found["forged one before"] = first

    second = signed()
    forged = evil(second)
    forged.set("ID", "_evil")
    second.append(forged)
    found["forged one after"] = second

    around = signed()
    true = assertion_of(around)
    forged = evil(around)
    forged.set("ID", "_evil")
    around.replace(true, forged)
    forged.append(true)
    found["true one within the forged one"] = around

    within = signed()
    true = assertion_of(within)
    forged = evil(within)
    forged.set("ID", "_evil")
    signature = signature_of(true)
    within.replace(true, forged)
    true.remove(signature)
    forged.insert(1, signature)
    etree.SubElement(signature, "{http://www.w3.org/2000/09/xmldsig#}Object").append(true)
    found["true one in the signature's object"] = within

    extension = signed()
    true = assertion_of(extension)
    forged = evil(extension)
    forged.set("ID", "_evil")
    extension.replace(true, forged)
    etree.SubElement(extension, "{urn:oasis:names:tc:SAML:2.0:protocol}Extensions").append(true)
    forged.insert(1, copy.deepcopy(signature_of(true)))
    found["true one among extensions"] = extension

    same = signed()
    same.append(evil(same))
    found["the same id twice"] = same

    outer = IDP.sign(made())
    whole = copy.deepcopy(outer)
    forged_response = copy.deepcopy(outer)
    forged_response.set("ID", "_evil")
    (forged_response.find(f".//{{{SAML}}}NameID")).text = "eve@acme.example"
    etree.SubElement(signature_of(forged_response), "{http://www.w3.org/2000/09/xmldsig#}Object").append(whole)
    found["true response within a forged one"] = forged_response
    return found


@pytest.mark.parametrize("name", wrappings())
def test_signature_wrapping(name: str) -> None:
    refuse(wrappings()[name], "one assertion and no more|where none belongs|an id twice")


def test_a_signature_that_is_about_another_element() -> None:
    """It has a good signature, of something else in it."""
    response = made()
    assertion = assertion_of(response)
    decoy = etree.SubElement(assertion, f"{{{SAML}}}Advice", ID="_decoy")
    IDP.sign(decoy)
    assertion.insert(1, signature_of(decoy))
    refuse(response, "something else|none of the connection's")


@pytest.mark.parametrize(
    "name_id", ["admin@acme.example<!-- -->.evil.example", "admin@acme.example<?x y?>.evil.example"]
)
def test_a_comment_within_a_name(name_id: str) -> None:
    """Signed as one name, since comments are not signed, and read by many as another."""
    response = IDP.sign(assertion_of(made(name_id=name_id)))
    refuse(response, "comments")
    changed = signed(name_id="admin@acme.example.evil.example")
    found = changed.find(f".//{{{SAML}}}NameID")
    found.text = "admin@acme.example"
    comment = etree.Comment("x")
    comment.tail = ".evil.example"
    found.append(comment)
    refuse(changed, "comments")


def test_more_than_text_in_a_name() -> None:
    refuse(signed(name_id="<saml:x/>admin@acme.example"), "nothing but text")


@pytest.mark.parametrize(
    "doctype",
    [
        b'<!DOCTYPE r [<!ENTITY x "eve@acme.example">]>',
        b'<!DOCTYPE r SYSTEM "file:///etc/passwd">',
        b'<!DOCTYPE r [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>',
    ],
)
def test_definitions_of_entities(doctype: bytes) -> None:
    refuse(doctype + etree.tostring(signed()), "DTD")


def test_an_encrypted_assertion_is_refused_with_advice() -> None:
    response = made()
    response.replace(assertion_of(response), etree.Element(f"{{{SAML}}}EncryptedAssertion"))
    refuse(response, "not supported")


@pytest.mark.parametrize("document", [b"", b"x", b"<x/>", b"<a>" * 10_000, b"\xff\xfe", b'{"a": 1}'])
def test_what_is_no_response(document: bytes) -> None:
    refuse(document, "no XML|no Response")


@pytest.mark.parametrize("text", ["%%%", "x" * (2 * BYTES_MAX)])
def test_what_is_no_field(text: str) -> None:
    with pytest.raises(SamlRefused, match=r"base64|bytes"):
        decoded(text)


def test_attributes_of_two_names() -> None:
    found = read(signed(attributes=attribute("email", "a@b.example") + attribute("groups", "x")))
    assert found.attributes == {"email": ["a@b.example"], "groups": ["x"]}
