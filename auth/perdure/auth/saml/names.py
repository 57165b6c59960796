"""Names of SAML 2.0 and what it is made of."""

from __future__ import annotations

from typing import Final

ASSERTION_NS: Final = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL_NS: Final = "urn:oasis:names:tc:SAML:2.0:protocol"
METADATA_NS: Final = "urn:oasis:names:tc:SAML:2.0:metadata"
SIGNATURE_NS: Final = "http://www.w3.org/2000/09/xmldsig#"

VERSION: Final = "2.0"
POST_BINDING: Final = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
SUCCESS: Final = "urn:oasis:names:tc:SAML:2.0:status:Success"
BEARER: Final = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
EMAIL_FORMAT: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
UNSPECIFIED_FORMAT: Final = "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified"


def assertion(name: str) -> str:
    return f"{{{ASSERTION_NS}}}{name}"


def protocol(name: str) -> str:
    return f"{{{PROTOCOL_NS}}}{name}"


def metadata(name: str) -> str:
    return f"{{{METADATA_NS}}}{name}"


def signature(name: str) -> str:
    return f"{{{SIGNATURE_NS}}}{name}"
