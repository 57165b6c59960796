"""PURE: when a schedule fires: its canonical form, the next time after an instant, the times within a range."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration
from temporalio.api.schedule.v1 import IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

from perdure.history.schedules import jitter
from perdure.history.schedules.calendar import YEAR_MAX, YEAR_MIN, Calendar, Reading
from perdure.history.schedules.notation import InvalidSpec, parse_calendar, parse_cron_string
from perdure.history.schedules.zone import Zone
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.prototime import instant_ns, length_ns

#: Calendars, exclusions and intervals together.
ENTRIES_MAX = 500
TIMEZONE_DATA_SIZE_MAX = 64 * 1024
_COMMENT_LENGTH_MAX = 200
_LENGTH_NS_MAX = 2**63 - 1
#: The last second of `YEAR_MAX`, in UTC.
_LAST_S = 4_133_980_799
#: Results of a search that found no time; later than any.
_NEVER = _LAST_S + 1
_GIVEN_UP = _LAST_S + 2
#: An instant after which no schedule fires, whatever its jitter.
LAST_NS = (_LAST_S + 100 * 86_400) * SECOND_NS
#: Entries that are looked at, once for each time that turns out to be excluded, before the search for the next time is
#: given up. Usual specs need a handful; one calendar and one exclusion may pass over all days until `YEAR_MAX`.
EVALUATIONS_MAX = 60_000
#: The same for a walk through many times, which only pauses then: some tens of milliseconds.
EVALUATIONS_PER_WALK = 10_000
#: So many exclusions are looked at in the time of one calendar, and count as one: a long weekend that is excluded
#: minute by minute, beside many holidays, must not end a schedule.
_EXCLUSIONS_PER_EVALUATION = 16
_DURATION_S_MAX = 315_576_000_000

#: The fields of a calendar in the order in which faults are named, with what they may hold.
_LIMITS = (
    ("Second", "second", 0, 59),
    ("Minute", "minute", 0, 59),
    ("Hour", "hour", 0, 23),
    ("DayOfMonth", "day_of_month", 1, 31),
    ("Month", "month", 1, 12),
    ("Year", "year", YEAR_MIN, YEAR_MAX),
    ("DayOfWeek", "day_of_week", 0, 6),
)


class TooManyExclusions(Exception):
    """No time was found among a great many that are all excluded."""


class Occurrence(NamedTuple):
    """A time of the schedule: the one that the spec says, and when it really happens, which jitter puts later."""

    nominal_ns: int
    at_ns: int


def canonical(spec: ScheduleSpec) -> ScheduleSpec:
    """The same spec with all its texts made into structured calendars and intervals.

    Raises:
        InvalidSpec: something in it is wrong.
    """
    _check_durations(spec.interval)
    _check_size(spec)
    result = ScheduleSpec()
    result.CopyFrom(spec)
    result.ClearField("calendar")
    result.ClearField("exclude_calendar")
    result.ClearField("cron_string")
    result.structured_calendar.extend(parse_calendar(each) for each in spec.calendar)
    result.exclude_structured_calendar.extend(parse_calendar(each) for each in spec.exclude_calendar)
    cron_strings = [parse_cron_string(text) for text in spec.cron_string]
    result.structured_calendar.extend(each.calendar for each in cron_strings if each.calendar is not None)
    result.interval.extend(each.interval for each in cron_strings if each.interval is not None)
    zones = {each.timezone_name for each in cron_strings}
    if len(zones) > 1:
        raise InvalidSpec("conflicting timezone names")
    if zone := "".join(zones):
        if result.timezone_data or result.timezone_name not in ("", zone):
            raise InvalidSpec("conflicting timezone names")
        result.timezone_name = zone
    for calendar in result.structured_calendar:
        _check_calendar(calendar)
    for excluded in result.exclude_structured_calendar:
        _check_excluded(excluded)
    for interval in result.interval:
        _check_interval(interval)
    _load_zone(result)
    return result


class Times:
    """The times of a canonical spec. Raises InvalidSpec if it is none."""

    def __init__(self, spec: ScheduleSpec) -> None:
        zone = _load_zone(spec)
        self._zone = zone
        self._calendars = _distinct(spec.structured_calendar, zone)
        self._exclusions = _distinct(spec.exclude_structured_calendar, zone)
        self._intervals = {
            (max(_capped(each.interval) // SECOND_NS, 1), max(_capped(each.phase) // SECOND_NS, 0))
            for each in spec.interval
        }
        exclusions = -(-len(self._exclusions) // _EXCLUSIONS_PER_EVALUATION)
        #: What it takes to look at all entries once, and what was looked at so far.
        self._entries = max(len(self._calendars) + len(self._intervals) + exclusions, 1)
        self._evaluations = 0
        self._start_s = max(instant_ns(spec.start_time) // SECOND_NS, 0)
        self._end_ns = instant_ns(spec.end_time) if spec.HasField("end_time") else None
        self._jitter_ns = max(_capped(spec.jitter), 0)
        #: Where the last search began, and what it found: the answer to all that begin in between, as most do.
        self._searched = (0, 0)

    def next_after(self, after_ns: int, seed: str) -> Occurrence | None:
        """The first time whose nominal time lies after an instant, None if there is none any more.

        Raises:
            TooManyExclusions: the search was given up.
        """
        nominal = self._next_unexcluded(max(after_ns // SECOND_NS, self._start_s - 1))
        if nominal is None:
            return None
        nominal_ns = nominal * SECOND_NS
        if not self._jitter_ns:
            return Occurrence(nominal_ns, nominal_ns)
        longest = self._jitter_ns
        if (following := self._next(nominal)) is not None:
            longest = min(longest, (following - nominal) * SECOND_NS)
        return Occurrence(nominal_ns, nominal_ns + jitter.delay_ns(seed, nominal, longest))

    def following(self, after_ns: int, seed: str) -> Iterator[Occurrence]:
        """The times after an instant, one after the other: at least the first, and as many as cost little to find.

        Who wants more of them begins again after the last one.

        Raises:
            TooManyExclusions: the search was given up.
        """
        enough = self._evaluations + EVALUATIONS_PER_WALK
        while (found := self.next_after(after_ns, seed)) is not None:
            yield found
            if self._evaluations >= enough:
                return
            after_ns = found.at_ns

    def _next_unexcluded(self, after: int) -> int | None:
        """As `next_after`, in seconds and without jitter."""
        begin, found = self._searched
        if not begin <= after < found:
            begin, found = self._searched = (after, self._search(after))
        if found == _GIVEN_UP:
            raise TooManyExclusions
        return found if found <= _LAST_S else None

    def _search(self, after: int) -> int:
        """The next time that is not excluded, `_NEVER`, or `_GIVEN_UP`."""
        for _ in range(EVALUATIONS_MAX // self._entries):
            nominal = self._next(after)
            if nominal is None or (self._end_ns is not None and nominal * SECOND_NS > self._end_ns):
                return _NEVER
            if not self._exclusions:
                return nominal
            reading = Reading.of(self._zone, nominal)
            passed = [until for each in self._exclusions if (until := each.matches_until(reading)) is not None]
            if not passed:
                return nominal
            after = max(passed)
        return _GIVEN_UP

    def _next(self, after: int) -> int | None:
        if after >= _LAST_S:
            return None
        self._evaluations += self._entries
        candidates = [found for each in self._calendars if (found := each.next_after(after)) is not None]
        candidates += [((after - phase) // every + 1) * every + phase for every, phase in self._intervals]
        earliest = min(candidates, default=_NEVER)
        return earliest if earliest <= _LAST_S else None


@lru_cache(maxsize=4096)
def times_of(spec: bytes) -> Times:
    """The times of a serialised canonical spec."""
    return Times(ScheduleSpec.FromString(spec))


def with_defaults(spec: ScheduleSpec) -> ScheduleSpec:
    """The spec as it is shown: ranges with the ends and steps that are left out in the canonical form."""
    shown = ScheduleSpec()
    shown.CopyFrom(spec)
    for calendar in (*shown.structured_calendar, *shown.exclude_structured_calendar):
        for _, attribute, _, _ in _LIMITS:
            for each in getattr(calendar, attribute):
                each.end = max(each.end, each.start)
                each.step = each.step or 1
    return shown


def _load_zone(spec: ScheduleSpec) -> Zone:
    try:
        return Zone.load(spec.timezone_name, spec.timezone_data)
    except ValueError as error:
        raise InvalidSpec(str(error)) from error


def _distinct(calendars: Iterable[StructuredCalendarSpec], zone: Zone) -> list[Calendar]:
    """Without those that say the same as others, and those that never match."""
    by_fields = {each.fields: each for each in (Calendar(spec, zone) for spec in calendars)}
    return [each for fields, each in by_fields.items() if all(fields)]


def _capped(length: Duration) -> int:
    return min(max(length_ns(length), -_LENGTH_NS_MAX), _LENGTH_NS_MAX)


def _check_size(spec: ScheduleSpec) -> None:
    count = len(spec.calendar) + len(spec.structured_calendar) + len(spec.cron_string) + len(spec.interval)
    count += len(spec.exclude_calendar) + len(spec.exclude_structured_calendar)
    if count > ENTRIES_MAX:
        raise InvalidSpec(f"{count} calendars, exclusions and intervals exceed the limit of {ENTRIES_MAX}")
    if (size := len(spec.timezone_data)) > TIMEZONE_DATA_SIZE_MAX:
        raise InvalidSpec(f"time zone data of {size} bytes exceeds the limit of {TIMEZONE_DATA_SIZE_MAX}")


def _check_calendar(calendar: StructuredCalendarSpec) -> None:
    faults: list[str] = []
    for called, attribute, low, high in _LIMITS:
        faults += _range_faults(getattr(calendar, attribute), called, low, high)
    if len(calendar.comment.encode()) > _COMMENT_LENGTH_MAX:
        faults.append("comment is too long")
    if faults:
        raise InvalidSpec("invalid calendar spec: " + ", ".join(faults))


def _range_faults(ranges: Iterable[Range], called: str, low: int, high: int) -> Iterator[str]:
    for each in ranges:
        if not low <= each.start <= high:
            yield f"{called} Start is not in range [{low}-{high}]"
        if each.end and not each.start <= each.end <= high:
            yield f"{called} End is before Start or not in range [{low}-{high}]"
        if each.step < 0:
            yield f"{called} has invalid Step"


def _check_excluded(calendar: StructuredCalendarSpec) -> None:
    """Calendars that exclude may say more than there is, but nothing that has no meaning."""
    faults = [
        f"{called} has a negative Start or Step"
        for called, attribute, _, _ in _LIMITS
        for each in getattr(calendar, attribute)
        if each.start < 0 or each.step < 0
    ]
    if faults:
        raise InvalidSpec("invalid calendar spec: " + ", ".join(faults))


def _check_interval(spec: IntervalSpec) -> None:
    interval, phase = _capped(spec.interval), _capped(spec.phase)
    if interval < SECOND_NS:
        raise InvalidSpec("interval is too small")
    if phase < 0:
        raise InvalidSpec("phase is negative")
    if phase >= interval:
        raise InvalidSpec("phase cannot be greater than Interval")


def _check_durations(intervals: Iterable[IntervalSpec]) -> None:
    for spec in intervals:
        for called, length in (("interval", spec.interval), ("phase", spec.phase)):
            if fault := _duration_fault(length):
                raise InvalidSpec(f"{called} is not a valid duration: {fault}")


def _duration_fault(length: Duration) -> str | None:
    fields = "  ".join(f"{field.name}:{value}" for field, value in length.ListFields())
    shown = f"proto:\N{NO-BREAK SPACE}duration ({fields})"
    if length.seconds < -_DURATION_S_MAX:
        return f"{shown} exceeds -10000 years"
    if length.seconds > _DURATION_S_MAX:
        return f"{shown} exceeds +10000 years"
    if not -SECOND_NS < length.nanos < SECOND_NS:
        return f"{shown} has out-of-range nanos"
    if (length.seconds > 0 > length.nanos) or (length.seconds < 0 < length.nanos):
        return f"{shown} has seconds and nanos with different signs"
    return None
