"""A SAML identity provider that signs with libxmlsec1, through a C library that what is tested does not use."""

from __future__ import annotations

import base64
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import xmlsec
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from lxml import etree

ENTITY_ID = "https://idp.acme.example/saml"
SIGN_ON_URL = "https://idp.acme.example/sso?tenant=acme"
_NS = {
    "samlp": "urn:oasis:names:tc:SAML:2.0:protocol",
    "saml": "urn:oasis:names:tc:SAML:2.0:assertion",
    "ds": "http://www.w3.org/2000/09/xmldsig#",
}
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"

_RESPONSE = """<samlp:Response xmlns:samlp="{samlp}" xmlns:saml="{saml}" ID="_response" Version="2.0"
  IssueInstant="{now}" Destination="{destination}" InResponseTo="{in_response_to}"><saml:Issuer>{issuer}</saml:Issuer>
  <samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:{status}"/></samlp:Status>
  <saml:Assertion ID="_assertion" Version="2.0" IssueInstant="{now}"><saml:Issuer>{issuer}</saml:Issuer>
    <saml:Subject><saml:NameID Format="{name_format}">{name_id}</saml:NameID>
      <saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:{method}">
        <saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{recipient}" InResponseTo="{confirms}"/>
      </saml:SubjectConfirmation></saml:Subject>
    <saml:Conditions NotBefore="{since}" NotOnOrAfter="{until}">{audience}{conditions}</saml:Conditions>
    <saml:AuthnStatement AuthnInstant="{now}" SessionIndex="s"><saml:AuthnContext>
      <saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef>
    </saml:AuthnContext></saml:AuthnStatement>
    <saml:AttributeStatement>{attributes}</saml:AttributeStatement>
  </saml:Assertion>
</samlp:Response>"""


@dataclass
class SamlProvider:
    """`now` is when it issues what it does."""

    now: datetime
    bits: int = 2048
    key: rsa.RSAPrivateKey = field(init=False)
    certificate: str = field(init=False)

    def __post_init__(self) -> None:
        self.key = rsa.generate_private_key(65537, self.bits)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp.acme.example")])
        built = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(self.now - timedelta(days=1))
            .not_valid_after(self.now + timedelta(days=30))
            .sign(self.key, hashes.SHA256())
        )
        self.certificate = built.public_bytes(Encoding.PEM).decode()

    def response(self, request_id: str, acs: str, entity_id: str, **changes: Any) -> etree._Element:
        """What it would answer; it is not signed."""
        until = self.now + timedelta(minutes=5)
        values = {
            **{prefix: _NS[prefix] for prefix in ("samlp", "saml")},
            "now": _time(self.now),
            "since": _time(self.now - timedelta(minutes=1)),
            "until": _time(until),
            "issuer": ENTITY_ID,
            "destination": acs,
            "recipient": acs,
            "in_response_to": request_id,
            "confirms": request_id,
            "status": "Success",
            "method": "bearer",
            "name_format": EMAIL_FORMAT,
            "name_id": "bob@acme.example",
            "audience": audience(entity_id),
            "conditions": "",
            "attributes": attribute("groups", "engineers", "everybody"),
            **changes,
        }
        return etree.fromstring(_RESPONSE.format(**values))

    def sign(
        self,
        element: etree._Element,
        digest: Any = xmlsec.Transform.SHA256,
        method: Any = xmlsec.Transform.RSA_SHA256,
    ) -> etree._Element:
        """Sign an element of a document, in place; the document."""
        signature = xmlsec.template.create(element, xmlsec.Transform.EXCL_C14N, method, ns="ds")
        # After the Issuer, as the schema wants it.
        element.insert(1, signature)
        reference = xmlsec.template.add_reference(signature, digest, uri=f"#{element.get('ID')}")
        xmlsec.template.add_transform(reference, xmlsec.Transform.ENVELOPED)
        xmlsec.template.add_transform(reference, xmlsec.Transform.EXCL_C14N)
        xmlsec.template.add_x509_data(xmlsec.template.ensure_key_info(signature))
        context = xmlsec.SignatureContext()
        pem = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        context.key = xmlsec.Key.from_memory(pem, xmlsec.KeyFormat.PEM)
        context.key.load_cert_from_memory(self.certificate.encode(), xmlsec.KeyFormat.PEM)
        context.register_id(element, "ID")
        context.sign(signature)
        return element.getroottree().getroot()

    def answer(self, url: str, *, signs: str = "assertion", **changes: Any) -> dict[str, str]:
        """The form that a browser sends which was sent here."""
        request, relay_state = asked(url)
        response = self.response(
            request.get("ID"),
            request.get("AssertionConsumerServiceURL"),
            request.findtext("saml:Issuer", namespaces=_NS),
            **changes,
        )
        if signs in ("assertion", "both"):
            self.sign(assertion_of(response))
        if signs in ("response", "both"):
            self.sign(response)
        return form(response, relay_state)


def asked(url: str) -> tuple[etree._Element, str]:
    """The request that a browser was sent here with, and what it is to bring back."""
    query = parse_qs(urlsplit(url).query)
    return (
        etree.fromstring(zlib.decompress(base64.b64decode(query["SAMLRequest"][0]), -15)),
        query["RelayState"][0],
    )


def form(response: etree._Element | bytes, relay_state: str) -> dict[str, str]:
    document = response if isinstance(response, bytes) else etree.tostring(response)
    return {"SAMLResponse": base64.b64encode(document).decode(), "RelayState": relay_state}


def assertion_of(response: etree._Element) -> etree._Element:
    found = response.find("saml:Assertion", _NS)
    assert found is not None
    return found


def signature_of(element: etree._Element) -> etree._Element:
    found = element.find("ds:Signature", _NS)
    assert found is not None
    return found


def attribute(name: str, *values: str) -> str:
    inner = "".join(f"<saml:AttributeValue>{value}</saml:AttributeValue>" for value in values)
    return f'<saml:Attribute Name="{name}">{inner}</saml:Attribute>'


def audience(entity_id: str) -> str:
    return f"<saml:AudienceRestriction><saml:Audience>{entity_id}</saml:Audience></saml:AudienceRestriction>"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
