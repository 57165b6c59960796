"""PURE: e-mail addresses."""

from __future__ import annotations

import re

from perdure.kernel.errors import InvalidArgument

LENGTH_MAX = 254
#: Whether mail arrives is the only true test; this keeps out what cannot be one.
_ADDRESS = re.compile(
    r"[^@\s\x00-\x1f\x7f<>\"(),:;\\]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9-]{1,63}"
)


def folded(address: str) -> str:
    """As it is compared and kept: in lower case."""
    return address.strip().lower()


def check(address: str, field: str) -> None:
    """Raises InvalidArgument: it is none."""
    if not address:
        raise InvalidArgument(f"{field}: must be given.")
    if len(address) > LENGTH_MAX or not _ADDRESS.fullmatch(folded(address)):
        raise InvalidArgument(f"{field}: is not an e-mail address.")


def domain_of(address: str) -> str:
    return folded(address).rpartition("@")[2]
