"""PURE: what we send to an identity provider, and tell it of ourselves."""

from __future__ import annotations

import zlib
from base64 import b64encode
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from lxml import etree

from perdure.auth.saml import names

_DEFLATED = -zlib.MAX_WBITS


def sign_on_url(
    provider_url: str, *, request_id: str, relay_state: str, entity_id: str, acs: str, now: datetime
) -> str:
    """Where a browser asks the provider to sign somebody in, with the HTTP-Redirect binding (saml-bindings 3.4)."""
    request = etree.Element(
        names.protocol("AuthnRequest"),
        {
            "ID": request_id,
            "Version": names.VERSION,
            "IssueInstant": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "Destination": provider_url,
            "AssertionConsumerServiceURL": acs,
            "ProtocolBinding": names.POST_BINDING,
        },
        nsmap={"samlp": names.PROTOCOL_NS, "saml": names.ASSERTION_NS},
    )
    etree.SubElement(request, names.assertion("Issuer")).text = entity_id
    compressor = zlib.compressobj(wbits=_DEFLATED)
    deflated = compressor.compress(etree.tostring(request)) + compressor.flush()
    query = urlencode({"SAMLRequest": b64encode(deflated).decode(), "RelayState": relay_state})
    return f"{provider_url}{'&' if urlsplit(provider_url).query else '?'}{query}"


def metadata(entity_id: str, acs: str) -> bytes:
    """What a provider has to know of us (saml-metadata 2.4.4)."""
    descriptor = etree.Element(
        names.metadata("EntityDescriptor"), {"entityID": entity_id}, nsmap={"md": names.METADATA_NS}
    )
    role = etree.SubElement(
        descriptor,
        names.metadata("SPSSODescriptor"),
        {
            "AuthnRequestsSigned": "false",
            "WantAssertionsSigned": "true",
            "protocolSupportEnumeration": names.PROTOCOL_NS,
        },
    )
    etree.SubElement(role, names.metadata("NameIDFormat")).text = names.EMAIL_FORMAT
    etree.SubElement(
        role,
        names.metadata("AssertionConsumerService"),
        {"Binding": names.POST_BINDING, "Location": acs, "index": "0", "isDefault": "true"},
    )
    content: bytes = etree.tostring(descriptor, xml_declaration=True, encoding="UTF-8")
    return content
