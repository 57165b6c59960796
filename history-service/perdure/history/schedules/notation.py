"""PURE: calendars written as text, field by field or as cron strings, made into structured ones.

The dialect is the protocol's own, not that of `cron_schedule` on workflows: names of months and days may be cut after
three and two letters, Sunday is 0 or 7, both day fields have to match, cron strings may have a year (six fields) and
seconds (seven), a comment behind `#`, and `@every <interval>/<phase>`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, Range, StructuredCalendarSpec

from perdure.history.schedules.calendar import YEAR_MAX, YEAR_MIN
from perdure.kernel import durations
from perdure.kernel.prototime import duration

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = (
    "january february march april may june july august september october november december".split()  # noqa: SIM905
)
_WEEKDAYS = "sunday monday tuesday wednesday thursday friday saturday".split()  # noqa: SIM905
_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_NUMBER_MAX = 2**63 - 1
_STEP_MAX = 2**31 - 1


class InvalidSpec(ValueError):
    """When a schedule is to fire is not said correctly; the message says what is wrong."""


class _Field(NamedTuple):
    """How one field is written. `names` stand for `first_name` and up, and have at least `shortest_name` letters."""

    called: str
    attribute: str
    low: int
    high: int
    default: str
    names: list[str] = []  # noqa: RUF012
    first_name: int = 0
    shortest_name: int = 0


_FIELDS = (
    _Field("Second", "second", 0, 59, "0"),
    _Field("Minute", "minute", 0, 59, "0"),
    _Field("Hour", "hour", 0, 23, "0"),
    _Field("DayOfWeek", "day_of_week", 0, 7, "*", _WEEKDAYS, 0, 2),
    _Field("DayOfMonth", "day_of_month", 1, 31, "*"),
    _Field("Month", "month", 1, 12, "*", _MONTHS, 1, 3),
    _Field("Year", "year", YEAR_MIN, YEAR_MAX, "*"),
)
#: Which attributes the parts of a cron string are, by their number.
_CRON_PARTS = {
    5: ("minute", "hour", "day_of_month", "month", "day_of_week"),
    6: ("minute", "hour", "day_of_month", "month", "day_of_week", "year"),
    7: ("second", "minute", "hour", "day_of_month", "month", "day_of_week", "year"),
}


class CronString(NamedTuple):
    """What a cron string says: a calendar or an interval, and the zone it names, if any."""

    calendar: StructuredCalendarSpec | None
    interval: IntervalSpec | None
    timezone_name: str


def parse_calendar(calendar: CalendarSpec) -> StructuredCalendarSpec:
    """Raises InvalidSpec, which names everything that is wrong."""
    structured = StructuredCalendarSpec(comment=calendar.comment)
    faults = []
    for field in _FIELDS:
        try:
            getattr(structured, field.attribute).extend(_parse_ranges(getattr(calendar, field.attribute), field))
        except InvalidSpec as fault:
            faults.append(str(fault))
    if faults:
        raise InvalidSpec(", ".join(faults))
    return structured


def parse_cron_string(text: str) -> CronString:
    """Raises InvalidSpec."""
    text = text.strip()
    timezone_name = ""
    if text.startswith(("TZ=", "CRON_TZ=")):
        zone, separator, text = text.partition(" ")
        if not separator:
            raise InvalidSpec("CronString has time zone but missing fields")
        timezone_name = zone.partition("=")[2]
    text, _, comment = text.partition("#")
    text, comment = text.strip(), comment.strip()
    if text.startswith("@every"):
        return CronString(None, _parse_every(text), "")
    parts = _DESCRIPTORS.get(text, text).split(maxsplit=7)
    attributes = _CRON_PARTS.get(len(parts))
    if attributes is None:
        raise InvalidSpec("CronString does not have 5-7 fields")
    calendar = CalendarSpec(comment=comment, **dict(zip(attributes, parts, strict=True)))
    return CronString(parse_calendar(calendar), None, timezone_name)


def _parse_every(text: str) -> IntervalSpec:
    _, separator, lengths = text.partition(" ")
    if not separator:
        raise InvalidSpec("CronString does not have interval after @every")
    interval, _, phase = lengths.partition("/")
    try:
        spec = IntervalSpec(interval=duration(durations.parse_with_days(interval)))
        if phase:
            spec.phase.CopyFrom(duration(durations.parse_with_days(phase)))
    except durations.InvalidDuration as error:
        raise InvalidSpec(str(error)) from error
    return spec


def _parse_ranges(text: str, field: _Field) -> list[Range]:
    text = text.strip() or field.default
    if text == "*" and field.attribute == "year":
        return []
    ranges = []
    for part in text.split(","):
        ranges += _parse_range(part, field)
    return ranges


def _parse_range(text: str, field: _Field) -> list[Range]:
    """`*`, `5`, `1-5`, each with a step behind a slash; a single value with a step goes on to the end."""
    if text.count("/") > 1:
        raise InvalidSpec(f"{field.called} has too many slashes")
    body, slash, step_text = text.partition("/")
    step = 1
    if slash:
        if not step_text:
            raise InvalidSpec(f"{field.called} missing step value")
        step = _parse_number(step_text)
        if step < 1:
            raise InvalidSpec(f"{field.called} has invalid Step")
    first, last = field.low, field.high
    if "-" in body:
        if body.count("-") > 1:
            raise InvalidSpec(f"{field.called} has too many dashes")
        first_text, _, last_text = body.partition("-")
        first = _parse_value(first_text, field, field.low, "Start is not in range")
        last = _parse_value(last_text, field, first, "End is before Start or not in range")
    elif body != "*":
        first = _parse_value(body, field, field.low, "is not in range")
        last = last if slash else first
    return _ranges(first, last, step, seven_is_zero=field.attribute == "day_of_week")


def _ranges(first: int, last: int, step: int, *, seven_is_zero: bool) -> list[Range]:
    """The range in its shortest form. Where 7 means 0 a range that reaches it falls into two, or is just 0."""
    ranges = []
    if seven_is_zero and last == 7:
        if (7 - first) % step == 0 and (step > 1 or first > 1):
            ranges.append(Range(start=0))
            if first == 7:
                return ranges
        last = 6
    ranges.append(Range(start=first, end=0 if first == last else last, step=0 if step == 1 else min(step, _STEP_MAX)))
    return ranges


def _parse_value(text: str, field: _Field, low: int, fault: str) -> int:
    value = None
    if field.names and len(text) >= field.shortest_name:
        folded = text.lower()
        numbers = (number for number, name in enumerate(field.names, field.first_name) if name.startswith(folded))
        value = next(numbers, None)
    if value is None and _NUMBER.fullmatch(text) and len(text) < 20:
        value = int(text)
    if value is None or not low <= value <= field.high:
        raise InvalidSpec(f"{field.called} {fault} [{field.low}-{field.high}]")
    return value


def _parse_number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise InvalidSpec(f'strconv.Atoi: parsing "{text}": invalid syntax')
    if len(text) > 20 or int(text) > _NUMBER_MAX:
        raise InvalidSpec(f'strconv.Atoi: parsing "{text}": value out of range')
    return int(text)
