"""PURE: what accounts are called by people."""

from __future__ import annotations

import re

from perdure.api.resources import names
from perdure.kernel.errors import InvalidArgument

LENGTH_MAX = 64
#: Mails have it in them, which must not carry a stranger's links.
_PLAIN = re.compile(r"\w(?:[\w ,&'()+-]|\.(?!\w))*")


def check(name: str, field: str) -> None:
    """Raises InvalidArgument: it cannot be one."""
    names.check(name, field, LENGTH_MAX)
    if not _PLAIN.fullmatch(name.strip()):
        raise InvalidArgument(f"{field}: must have letters, digits, spaces and _ , & ' ( ) + - only, and no links.")
