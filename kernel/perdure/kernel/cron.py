"""PURE: cron schedules as workflows carry them in `cron_schedule`.

Five fields (minute, hour, day of month, month, day of week), the descriptors `@yearly` `@annually` `@monthly`
`@weekly` `@daily` `@midnight` `@hourly`, and `@every <duration>`; any of them behind `CRON_TZ=<zone>` or `TZ=<zone>`.
Without a zone the schedule is in UTC. When both day fields are restricted, a day that matches either one counts. A
local time that a clock change skips does not happen on that day, one that it repeats happens twice.

No library is used because SDKs and existing schedules rely on exactly this dialect: `?` for any, names of months and
days in English, steps without an end, Sunday as 0 only, and Go's notation of durations.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from perdure.kernel import durations, timezones
from perdure.kernel.clock import SECOND_NS

#: How far ahead a match is looked for; beyond it the schedule is held to never happen (February 30th).
HORIZON_YEARS = 5
_SPEC_LENGTH_MAX = 1000

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: number for number, name in enumerate(_MONTH_NAMES, 1)}
_WEEKDAYS = {name: number for number, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class InvalidSchedule(ValueError):
    """The text is no cron schedule; the message says why."""


class _Field(NamedTuple):
    """The values that match. `any` is true when the field was left open with `*` or `?`."""

    values: frozenset[int]
    any: bool


class _Fields(NamedTuple):
    minute: _Field
    hour: _Field
    day: _Field
    month: _Field
    weekday: _Field
    zone: tzinfo


class _Every(NamedTuple):
    interval_s: int


def validate(spec: str) -> None:
    """Raises InvalidSchedule."""
    _parse(spec)


def next_after(spec: str, after_ns: int) -> int | None:
    """The first instant of the schedule strictly after the given one, None if there is none within five years.

    Raises:
        InvalidSchedule: the text is no schedule.
    """
    schedule = _parse(spec)
    if isinstance(schedule, _Every):
        return (after_ns // SECOND_NS + schedule.interval_s) * SECOND_NS
    return _next_match(schedule, after_ns)


@lru_cache(maxsize=1024)
def _parse(spec: str) -> _Fields | _Every:
    if not spec or len(spec) > _SPEC_LENGTH_MAX:
        raise InvalidSchedule("empty or too long")
    zone: tzinfo = UTC
    if spec.startswith(("TZ=", "CRON_TZ=")):
        head, separator, spec = spec.partition(" ")
        if not separator:
            raise InvalidSchedule("a time zone alone is no schedule")
        zone = _zone(head.partition("=")[2])
        spec = spec.strip()
    if spec.startswith("@every "):
        return _Every(_interval_s(spec.removeprefix("@every ")))
    if spec.startswith("@"):
        if spec not in _DESCRIPTORS:
            raise InvalidSchedule(f"unknown descriptor {spec}")
        spec = _DESCRIPTORS[spec]
    parts = spec.split()
    if len(parts) != 5:
        raise InvalidSchedule(f"expected 5 fields, found {len(parts)}")
    return _Fields(
        _field(parts[0], 0, 59),
        _field(parts[1], 0, 23),
        _field(parts[2], 1, 31),
        _field(parts[3], 1, 12, _MONTHS),
        _field(parts[4], 0, 6, _WEEKDAYS),
        zone,
    )


def _zone(name: str) -> tzinfo:
    try:
        return timezones.load(name)
    except timezones.UnknownTimeZone as error:
        raise InvalidSchedule(str(error)) from error


def _interval_s(text: str) -> int:
    try:
        return max(durations.parse(text) // SECOND_NS, 1)
    except durations.InvalidDuration as error:
        raise InvalidSchedule(str(error)) from error


def _field(text: str, low: int, high: int, names: dict[str, int] | None = None) -> _Field:
    values: set[int] = set()
    anything = False
    for part in filter(None, text.split(",")):
        part_values, part_any = _range(part, low, high, names or {})
        values.update(part_values)
        anything |= part_any
    return _Field(frozenset(values), anything)


def _range(text: str, low: int, high: int, names: dict[str, int]) -> tuple[range, bool]:
    body, slash, step_text = text.partition("/")
    step = _number(step_text, {}) if slash else 1
    if step == 0:
        raise InvalidSchedule(f"step of zero in {text}")
    first_text, dash, last_text = body.partition("-")
    if first_text in ("*", "?"):
        return range(low, high + 1, step), step == 1
    first = _number(first_text, names)
    open_end = high if slash else first
    last = _number(last_text, names) if dash else open_end
    if first < low or last > high or first > last:
        raise InvalidSchedule(f"{text} is not within {low}-{high}")
    return range(first, last + 1, step), False


def _number(text: str, names: dict[str, int]) -> int:
    if (named := names.get(text.lower())) is not None:
        return named
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidSchedule(f"{text!r} is no number")
    return int(text)


def _next_match(fields: _Fields, after_ns: int) -> int | None:
    after = datetime.fromtimestamp(after_ns // SECOND_NS, UTC)
    day = after.astimezone(fields.zone).replace(hour=0, minute=0, second=0, tzinfo=None)
    last_year = day.year + HORIZON_YEARS
    hours = sorted(fields.hour.values)
    while day.year <= last_year:
        if day.month not in fields.month.values:
            day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
            continue
        if _day_matches(fields, day):
            for hour in hours:
                if following := _next_within_hour(fields, day.replace(hour=hour), after):
                    return int(following.timestamp()) * SECOND_NS
        day += timedelta(days=1)
    return None


def _next_within_hour(fields: _Fields, hour: datetime, after: datetime) -> datetime | None:
    """The first match after `after` in this hour of the local clock, which a clock change may skip or repeat."""
    if hour.replace(minute=59, tzinfo=fields.zone, fold=1).astimezone(UTC) <= after:
        return None
    matches = []
    for fold in (0,) if fields.zone is UTC else (0, 1):
        for minute in fields.minute.values:
            instant = hour.replace(minute=minute, tzinfo=fields.zone, fold=fold).astimezone(UTC)
            # A skipped local time does not survive the way to UTC and back: it does not exist.
            exists = instant.astimezone(fields.zone).replace(tzinfo=None) == hour.replace(minute=minute)
            if exists and instant > after:
                matches.append(instant)
    return min(matches, default=None)


def _day_matches(fields: _Fields, day: datetime) -> bool:
    by_date = day.day in fields.day.values
    by_weekday = day.isoweekday() % 7 in fields.weekday.values
    if fields.day.any or fields.weekday.any:
        return by_date and by_weekday
    return by_date or by_weekday
