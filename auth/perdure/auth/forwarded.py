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
#: One thing that a proxy says.
_PART = r'[A-Za-z]+=(?:"(?:[^"\\]|\\.)*"|[^;,"]*)'
#: All that one proxy says. What several say in a row, divided by commas, nobody can tell apart from what clients say.
_ELEMENT = re.compile(rf"{_PART}(?:;{_PART})*")
_PARTS = re.compile(_PART)
#: What proxies quote, or say of themselves. Alternative names of the client's certificate (`URI`, `DNS`) they do not
#: quote, so whoever has made the certificate could put anything after them, such as another's chain.
_SAFE = frozenset({"by", "hash", "cert", "chain", "subject"})


def forwarded_certificates(metadata: Mapping[str, str]) -> str:
    """The client's chain in PEM, or nothing: also if it is not clear who says what."""
    header = metadata.get(_CERTIFICATE_HEADER, "")
    if len(header) > _HEADER_LENGTH_MAX or not _ELEMENT.fullmatch(header):
        return ""
    said = [each.partition("=")[::2] for each in _PARTS.findall(header)]
    names = [name.lower() for name, _ in said]
    if len(set(names)) != len(names) or not _SAFE.issuperset(names):
        return ""
    parts = {name.lower(): value.strip('"') for name, value in said}
    # The chain begins with the certificate. Both are PEM, percent-encoded.
    return unquote(parts.get("chain") or parts.get("cert") or "")


def forwarded_address(metadata: Mapping[str, str]) -> str:
    """The client's address as the proxy has seen it, or nothing."""
    return metadata.get(_ADDRESS_HEADER, "").rpartition(",")[2].strip()
