"""PURE: what a proxy in front of us says about its client. To be believed of known proxies only.

The headers are those of Envoy (`x-forwarded-client-cert`, RFC-less but widely copied) and `x-forwarded-for`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

_CERTIFICATE_HEADER = "x-forwarded-client-cert"
_ADDRESS_HEADER = "x-forwarded-for"
_HEADER_LENGTH_MAX = 64 * 1024
#: What one proxy says, up to a comma that is not within quotes.
_ELEMENT = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*")+')
#: One thing that it says. The values that matter have no quotes in them.
_PART = re.compile(r'([^=;,"]+)=("(?:[^"\\]|\\.)*"|[^;,"]*)')


def forwarded_certificates(metadata: Mapping[str, str]) -> str:
    """The client's chain in PEM, or nothing.

    With several proxies in a row the last element is from the one that we know, the others are hearsay.
    """
    header = metadata.get(_CERTIFICATE_HEADER, "")
    if len(header) > _HEADER_LENGTH_MAX:
        return ""
    elements = _ELEMENT.findall(header)
    parts = {name.strip().lower(): value.strip('"') for name, value in _PART.findall(elements[-1] if elements else "")}
    # The chain begins with the certificate. Both are PEM, percent-encoded.
    return unquote(parts.get("chain") or parts.get("cert") or "")


def forwarded_address(metadata: Mapping[str, str]) -> str:
    """The client's address as the proxy has seen it, or nothing."""
    return metadata.get(_ADDRESS_HEADER, "").rpartition(",")[2].strip()
