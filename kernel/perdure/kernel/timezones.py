"""Time zones by name, from the database of the system or of the `tzdata` package."""

from __future__ import annotations

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo


class UnknownTimeZone(ValueError):
    """There is no zone of this name."""


@lru_cache(maxsize=1024)
def load(name: str) -> tzinfo:
    """The zone; the empty name means UTC, and so does `Local`: a server has no zone of its own.

    Raises:
        UnknownTimeZone: there is none of this name.
    """
    if name in ("", "UTC", "Local"):
        return UTC
    if ".." in name or name.startswith(("/", "\\")):
        raise UnknownTimeZone("time: invalid location name")
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise UnknownTimeZone(f"unknown time zone {name}") from error
