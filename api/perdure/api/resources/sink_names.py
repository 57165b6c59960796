"""PURE: names of sinks, which are part of addresses and of names of files."""

from __future__ import annotations

import re

from perdure.kernel.errors import InvalidArgument

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}")


def check_sink_name(name: str, field: str) -> None:
    """Raises InvalidArgument: a sink cannot be called so."""
    if not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"{field}: must have 1 to 64 letters, digits, hyphens and underscores, and begin with a letter or digit."
        )
