"""PURE: one calendar of a schedule: the seconds whose date and time fields all match.

Clock changes: a local time that is skipped does not happen on that day; an hour that is shown twice happens twice.
Where the second showing comes first in the zone's own reckoning (zones east of Greenwich), it is the hour before whose
times are repeated an hour later. That is what the reference server does, and when a schedule fires is its contract.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import NamedTuple

from temporalio.api.schedule.v1 import Range, StructuredCalendarSpec

from perdure.history.schedules.zone import DAY_S, HOUR_S, Zone

YEAR_MIN = 2000
#: Nothing is scheduled for later years.
YEAR_MAX = 2100

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_MINUTE_S = 60
_SIXTY = (1 << 60) - 1
_ANY = -1


#: What lies further ahead than this is found from wherever in between a search begins, however the clock changes.
_FAR_S = 2 * DAY_S


class Reading(NamedTuple):
    """What a local clock shows at an instant."""

    instant: int
    local: int
    on: date
    hour: int
    minute: int
    second: int

    @classmethod
    def of(cls, zone: Zone, instant: int) -> Reading:
        local = zone.local(instant)
        day, second_of_day = divmod(local, DAY_S)
        return cls(instant, local, date.fromordinal(day + _EPOCH_DAY), *_clock(second_of_day))


class Calendar:
    """Each field is a set of numbers, kept as the bits of an integer."""

    __slots__ = ("_days", "_found", "_hours", "_minutes", "_months", "_seconds", "_weekdays", "_years", "_zone")

    def __init__(self, spec: StructuredCalendarSpec, zone: Zone) -> None:
        self._zone = zone
        self._years = _bits(spec.year, YEAR_MAX) if spec.year else _ANY
        self._months = _bits(spec.month, 12)
        self._days = _bits(spec.day_of_month, 31)
        self._weekdays = _bits(spec.day_of_week, 6)
        self._hours = _bits(spec.hour, 23)
        self._minutes = _bits(spec.minute, 59)
        self._seconds = _bits(spec.second, 59)
        #: Where the last search began, and what it found.
        self._found: tuple[int, int | None] = (0, 0)

    @property
    def fields(self) -> tuple[int, ...]:
        """What sets one calendar apart from others of the same zone. It never matches if one of them is 0."""
        return (
            self._years,
            self._months,
            self._days,
            self._weekdays,
            self._hours,
            self._minutes,
            self._seconds,
        )

    def matches_until(self, reading: Reading) -> int | None:
        """None if the instant does not match; else an instant up to which everything matches, at best the last."""
        instant, local, on, hour, minute, second = reading
        if not (
            _has(self._years, on.year)
            and _has(self._months, on.month)
            and _has(self._days, on.day)
            and _has(self._weekdays, on.isoweekday() % 7)
            and _has(self._hours, hour)
            and _has(self._minutes, minute)
            and _has(self._seconds, second)
        ):
            return None
        last = _run(self._seconds, second)
        if self._seconds == _SIXTY:
            last += _run(self._minutes, minute) * _MINUTE_S
            if self._minutes == _SIXTY:
                last += _run(self._hours, hour) * HOUR_S
        # Not across a clock change.
        return instant + last if self._zone.local(instant + last) == local + last else instant

    def next_after(self, instant: int) -> int | None:
        """The first match after an instant, None if there is none until the end of `YEAR_MAX`."""
        begin, found = self._found
        if begin <= instant and (found is None or found - instant > _FAR_S):
            return found
        found = self._search(instant)
        self._found = instant, found
        return found

    def _search(self, instant: int) -> int | None:
        zone = self._zone
        local = zone.local(instant)
        day, second_of_day = divmod(local, DAY_S)
        hour, minute, second = _clock(second_of_day)
        # In the second showing of an hour all instants are one hour later than the zone says.
        repeated = HOUR_S if zone.local(instant - HOUR_S) % DAY_S // HOUR_S == hour else 0
        second += 1
        while True:
            if second > 59:
                minute, second = minute + 1, 0
            if minute > 59:
                minute = 0
                if not repeated and self._is_repeated(day * DAY_S + hour * HOUR_S):
                    repeated = HOUR_S
                else:
                    hour, repeated = hour + 1, 0
            if hour > 23:
                day, hour = day + 1, 0
            matching_day = self._next_day(day, hour * HOUR_S + minute * _MINUTE_S + second)
            if matching_day is None:
                return None
            if matching_day != day:
                day, hour, minute, second, repeated = matching_day, 0, 0, 0, 0
            matching = _next(self._hours, hour)
            if matching != hour:
                hour, minute, second, repeated = matching, 0, 0, 0
                if hour > 23:
                    continue
            matching = _next(self._minutes, minute)
            if matching != minute:
                minute, second = matching, 0
                if minute > 59:
                    continue
            second = _next(self._seconds, second)
            if second > 59:
                continue
            found = zone.instant(day * DAY_S + hour * HOUR_S + minute * _MINUTE_S + second)
            if zone.local(found) % DAY_S // HOUR_S == hour:
                return found + repeated
            # This hour was skipped by a clock change.
            hour, minute, second = hour + 1, 0, 0

    def _is_repeated(self, local_hour: int) -> bool:
        """Whether more than an hour passes until the local clock shows the next one."""
        return self._zone.instant(local_hour + HOUR_S) - self._zone.instant(local_hour) > HOUR_S

    def _next_day(self, day: int, second_of_day: int) -> int | None:
        """The first day that matches, this one included. A day's weekday is the one that its first candidate has."""
        on = date.fromordinal(day + _EPOCH_DAY)
        while on.year <= YEAR_MAX:
            if not _has(self._years, on.year):
                year = _next(self._years, on.year + 1)
                if year > YEAR_MAX:
                    return None
                on, second_of_day = date(year, 1, 1), 0
            month = _next(self._months, on.month)
            if month > 12:
                on, second_of_day = date(on.year + 1, 1, 1), 0
                continue
            if month != on.month:
                on, second_of_day = date(on.year, month, 1), 0
            if _has(self._days, on.day) and _has(self._weekdays, self._weekday(on, second_of_day)):
                return on.toordinal() - _EPOCH_DAY
            on, second_of_day = _later_in_month(on, _next(self._days, on.day + 1)), 0
        return None

    def _weekday(self, on: date, second_of_day: int) -> int:
        local = (on.toordinal() - _EPOCH_DAY) * DAY_S + second_of_day
        return (self._zone.local(self._zone.instant(local)) // DAY_S + 4) % 7


def _later_in_month(on: date, day: int) -> date:
    """That day of the month, or the first of the next month if this one has no such day."""
    if day <= 28:
        return on.replace(day=day)
    try:
        return on.replace(day=day)
    except ValueError:
        return date(on.year + on.month // 12, on.month % 12 + 1, 1)


def _clock(second_of_day: int) -> tuple[int, int, int]:
    hour, rest = divmod(second_of_day, HOUR_S)
    return hour, *divmod(rest, _MINUTE_S)


def _bits(ranges: Iterable[Range], highest: int) -> int:
    bits = 0
    for each in ranges:
        for number in range(each.start, min(max(each.start, each.end), highest) + 1, each.step or 1):
            bits |= 1 << number
    return bits


def _has(bits: int, number: int) -> bool:
    return bits >> number & 1 == 1


def _run(bits: int, number: int) -> int:
    """How many members follow this one without a gap."""
    return _next(~bits, number + 1) - number - 1


def _next(bits: int, number: int) -> int:
    """The lowest member that is no less; if there is none, a number higher than any."""
    rest = bits >> number
    return number + (rest & -rest).bit_length() - 1 if rest else 1 << 16
