"""PURE: lengths of time as Go writes them, which is how they stand in cron strings: `1h30m`, `1.5s`, `-2m`."""

from __future__ import annotations

import re

from perdure.kernel.clock import SECOND_NS

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "\N{MICRO SIGN}s": 1_000,
    "\N{GREEK SMALL LETTER MU}s": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
}
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)", re.ASCII)
_DAYS = re.compile(r"([0-9]+(?:\.[0-9]*)?)d", re.ASCII)
_LENGTH_NS_MAX = 2**63 - 1
_TEXT_LENGTH_MAX = 1000


class InvalidDuration(ValueError):
    """The text is no length of time; the message says why."""


def parse(text: str) -> int:
    """Nanoseconds.

    Raises:
        InvalidDuration: the text is no length of time.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    invalid = InvalidDuration(f'time: invalid duration "{text}"')
    if not rest or len(text) > _TEXT_LENGTH_MAX:
        raise invalid
    total = 0
    position = 0
    while position < len(rest):
        match = _PART.match(rest, position)
        if match is None or not (match[1] or match[2]):
            raise invalid
        whole, fraction, unit = match.groups()
        if not unit:
            raise InvalidDuration(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS_NS:
            raise InvalidDuration(f'time: unknown unit "{unit}" in duration "{text}"')
        scale = _UNITS_NS[unit]
        total += int(whole or "0") * scale
        if fraction:
            total += int(fraction) * scale // 10 ** len(fraction)
        position = match.end()
    if total > _LENGTH_NS_MAX:
        raise invalid
    return sign * total


def parse_with_days(text: str) -> int:
    """Like `parse`, with `d` for 24 hours.

    Raises:
        InvalidDuration: the text is no length of time.
    """
    if len(text) > _TEXT_LENGTH_MAX:
        raise InvalidDuration(f'time: invalid duration "{text}"')
    return parse(_DAYS.sub(lambda days: f"{24 * float(days[1]):f}h", text))
