"""PURE: instants and durations as people write them in queries and search attributes."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from perdure.kernel.clock import SECOND_NS

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_UNIT_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": SECOND_NS,
    "m": 60 * SECOND_NS,
    "h": 3600 * SECOND_NS,
    "d": 86_400 * SECOND_NS,
}
_DURATION_PART = r"(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h|d)"
_DURATION = re.compile(rf"([+-]?)((?:{_DURATION_PART})+)", re.ASCII)
_PART = re.compile(r"(\d*)\.?(\d*)([a-zµμ]+)", re.ASCII)
_CLOCK = re.compile(r"(\d+):([0-5]?\d):([0-5]?\d)", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def parse_instant(text: str) -> int:
    """An RFC 3339 instant in nanoseconds since the epoch, brought into the range of 64 bits (years 1677 to 2262).

    Raises:
        ValueError: it is not one.
    """
    matched = _INSTANT.fullmatch(text)
    if matched is None:
        raise ValueError(f"not an RFC 3339 instant: {text!r}")
    seconds, fraction, _, sign, hours, minutes = matched.groups()
    zone = UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        zone = timezone(-offset if sign == "-" else offset)
    since_epoch = datetime.fromisoformat(seconds).replace(tzinfo=zone) - _EPOCH
    whole = since_epoch.days * 86_400 + since_epoch.seconds
    return _clamp(whole * SECOND_NS + int((fraction or "")[:9].ljust(9, "0")))


def format_instant(instant_ns: int) -> str:
    """The RFC 3339 form of an instant, in UTC, with as many decimals as it needs."""
    seconds, nanoseconds = divmod(instant_ns, SECOND_NS)
    fraction = f".{nanoseconds:09d}".rstrip("0") if nanoseconds else ""
    return f"{(_EPOCH + timedelta(seconds=seconds)).strftime('%Y-%m-%dT%H:%M:%S')}{fraction}Z"


def parse_duration(text: str) -> int:
    """Nanoseconds of a duration: `1h30m`, `1.5d`, `01:30:00`, or a plain number of nanoseconds.

    Raises:
        ValueError: it is not one, or it does not fit into 64 bits.
    """
    if _INTEGER.fullmatch(text) and len(text) <= 20:
        return _fitting(int(text), text)
    if text == "0":
        return 0
    if matched := _DURATION.fullmatch(text):
        sign, parts = matched.groups()
        total = sum(_part_ns(whole, fraction, unit) for whole, fraction, unit in _PART.findall(parts))
        return _fitting(-total if sign == "-" else total, text)
    if matched := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(number[:20]) for number in matched.groups())
        return _fitting((hours * 3600 + minutes * 60 + seconds) * SECOND_NS, text)
    raise ValueError(f"not a duration: {text!r}")


def _part_ns(whole: str, fraction: str, unit: str) -> int:
    whole, fraction = whole[:20] or "0", fraction[:18] or "0"
    unit_ns = _UNIT_NS[unit]
    return int(whole) * unit_ns + int(fraction) * unit_ns // int(10 ** len(fraction))


def _fitting(duration_ns: int, text: str) -> int:
    if not INT64_MIN <= duration_ns <= INT64_MAX:
        raise ValueError(f"duration out of range: {text!r}")
    return duration_ns


def _clamp(instant_ns: int) -> int:
    return max(INT64_MIN, min(INT64_MAX, instant_ns))
