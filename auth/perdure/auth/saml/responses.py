"""PURE: what an identity provider's answer proves, after saml-profiles 4.1.4."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from lxml import etree

from perdure.auth.saml import names
from perdure.auth.saml.documents import SamlRefused, parse, signature_of, signed

#: What clocks may differ by.
LEEWAY = timedelta(seconds=60)
BYTES_MAX = 256 * 1024
#: What conditions we know how to keep. One that nobody knows is not kept.
_CONDITIONS = {names.assertion(each) for each in ("AudienceRestriction", "OneTimeUse", "ProxyRestriction")}


class Provider(NamedTuple):
    """Whom we believe: `certificates` are PEM."""

    entity_id: str
    certificates: Sequence[str]


class Expected(NamedTuple):
    """What the answer is to: our request, our name, our address."""

    request_id: str
    entity_id: str
    acs: str


class Assertion(NamedTuple):
    """What the provider says of somebody. `attributes` are by their names."""

    name_id: str
    name_id_format: str
    attributes: Mapping[str, Sequence[str]]


def decoded(text: str) -> bytes:
    """The document in a form's field. Raises SamlRefused: there is none."""
    if len(text) > BYTES_MAX * 4 // 3 + 4:
        raise SamlRefused(f"it has more than {BYTES_MAX} bytes")
    try:
        # Some break it into lines.
        return b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlRefused("it is not in base64") from None


def verified(document: bytes, provider: Provider, expected: Expected, now: datetime) -> Assertion:
    """What a Response says, that this provider has signed for this request.

    Each request is good for one answer: whoever asks this forgets the request, and nothing can be replayed.

    Raises:
        SamlRefused: it proves nothing.
    """
    response = parse(document)
    _check_form(response)
    _check_envelope(response, provider, expected)
    assertion = _signed_assertion(response, provider, now)
    _check_issuer(assertion, provider)
    _check_conditions(_only(assertion, "Conditions"), expected, now)
    subject = _only(assertion, "Subject")
    _check_confirmation(subject, expected, now)
    if assertion.find(names.assertion("AuthnStatement")) is None:
        raise SamlRefused("it does not say that anybody has signed in (AuthnStatement)")
    name_id = _only(subject, "NameID")
    return Assertion(_text(name_id), name_id.get("Format", names.UNSPECIFIED_FORMAT), _attributes(assertion))


def _check_form(response: etree._Element) -> None:
    """There is one thing only that a signature, and a reader, could mean."""
    if response.tag != names.protocol("Response"):
        raise SamlRefused("it is no Response")
    if response.find(f".//{names.assertion('EncryptedAssertion')}") is not None:
        raise SamlRefused("its assertion is encrypted, which is not supported: let the provider sign it only")
    assertions = list(response.iter(names.assertion("Assertion")))
    if len(assertions) != 1 or assertions[0].getparent() is not response:
        raise SamlRefused("it must have one assertion and no more")
    for each in response.iter(names.signature("Signature")):
        if each.getparent() not in (response, assertions[0]):
            raise SamlRefused("it has a signature where none belongs")


def _check_envelope(response: etree._Element, provider: Provider, expected: Expected) -> None:
    """It need not be signed, so nothing is known by it; but what is wrong with it tells what went wrong."""
    status = response.find(f"{names.protocol('Status')}/{names.protocol('StatusCode')}")
    if status is None or status.get("Value") != names.SUCCESS:
        raise SamlRefused("the provider says that nobody was signed in (Status)")
    if response.get("Destination", expected.acs) != expected.acs:
        raise SamlRefused("it is for another address (Destination)")
    if response.get("InResponseTo", expected.request_id) != expected.request_id:
        raise SamlRefused("it answers another request (InResponseTo)")
    issuer = response.find(names.assertion("Issuer"))
    if issuer is not None and _text(issuer) != provider.entity_id:
        raise SamlRefused("it is of another provider (Issuer)")


def _signed_assertion(response: etree._Element, provider: Provider, now: datetime) -> etree._Element:
    """The assertion as it was signed, by itself or as a part of the response. All signatures that there are must be
    good.
    """
    (assertion,) = response.iter(names.assertion("Assertion"))
    found: etree._Element | None = None
    if signature_of(response) is not None:
        found = signed(response, provider.certificates, now).find(names.assertion("Assertion"))
    if signature_of(assertion) is not None:
        found = signed(assertion, provider.certificates, now)
    if found is None:
        raise SamlRefused("it is not signed")
    return found


def _check_issuer(assertion: etree._Element, provider: Provider) -> None:
    if assertion.get("Version") != names.VERSION:
        raise SamlRefused("it is of another version than 2.0")
    if _text(_only(assertion, "Issuer")) != provider.entity_id:
        raise SamlRefused("it is of another provider (Issuer)")


def _check_conditions(conditions: etree._Element, expected: Expected, now: datetime) -> None:
    _check_time(conditions, now, "Conditions")
    if any(each.tag not in _CONDITIONS for each in conditions):
        raise SamlRefused("it has a condition that is not known here")
    restrictions = conditions.findall(names.assertion("AudienceRestriction"))
    for restriction in restrictions:
        audiences = {_text(each) for each in restriction.findall(names.assertion("Audience"))}
        if expected.entity_id not in audiences:
            raise SamlRefused("it is for another service (Audience)")
    if not restrictions:
        raise SamlRefused("it does not say which service it is for (Audience)")


def _check_confirmation(subject: etree._Element, expected: Expected, now: datetime) -> None:
    """Whoever brings it is the one: if it answers his request, here, and now."""
    reasons = []
    for confirmation in subject.findall(names.assertion("SubjectConfirmation")):
        try:
            _check_bearer(confirmation, expected, now)
        except SamlRefused as error:
            reasons.append(str(error))
        else:
            return
    raise SamlRefused(reasons[0] if reasons else "it does not say who may bring it (SubjectConfirmation)")


def _check_bearer(confirmation: etree._Element, expected: Expected, now: datetime) -> None:
    data = confirmation.find(names.assertion("SubjectConfirmationData"))
    if confirmation.get("Method") != names.BEARER or data is None:
        raise SamlRefused("it is not for whoever brings it (SubjectConfirmation)")
    if data.get("InResponseTo") != expected.request_id:
        raise SamlRefused("it answers another request, or none (InResponseTo)")
    if data.get("Recipient") != expected.acs:
        raise SamlRefused("it is for another address (Recipient)")
    if data.get("NotOnOrAfter") is None:
        raise SamlRefused("it does not say until when it is good (NotOnOrAfter)")
    _check_time(data, now, "SubjectConfirmationData")


def _check_time(element: etree._Element, now: datetime, name: str) -> None:
    until, since = _time(element, "NotOnOrAfter"), _time(element, "NotBefore")
    if until is not None and until + LEEWAY <= now:
        raise SamlRefused(f"it has expired ({name})")
    if since is not None and since - LEEWAY > now:
        raise SamlRefused(f"it is not good yet ({name})")


def _time(element: etree._Element, name: str) -> datetime | None:
    value = element.get(name)
    if value is None:
        return None
    try:
        found = datetime.fromisoformat(value)
        # Such times are UTC if they do not say so.
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        # So that a little may be added and taken.
        return max(min(found, _LATEST), _EARLIEST)
    except (ValueError, OverflowError):
        raise SamlRefused(f"{name} is not a time") from None


_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def _attributes(assertion: etree._Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for attribute in assertion.iter(names.assertion("Attribute")):
        values = [_text(each) for each in attribute.findall(names.assertion("AttributeValue"))]
        found.setdefault(attribute.get("Name", ""), []).extend(values)
    return found


def _only(element: etree._Element, name: str) -> etree._Element:
    found = element.findall(names.assertion(name))
    if len(found) != 1:
        raise SamlRefused(f"it must have one {name}")
    return found[0]


def _text(element: etree._Element) -> str:
    """Raises SamlRefused: there is more than text in it."""
    if len(element):
        raise SamlRefused(f"{etree.QName(element).localname} must have nothing but text")
    return (element.text or "").strip()
