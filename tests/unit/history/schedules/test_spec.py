"""When schedules fire. The expected times and refusals are those of the reference server."""

from __future__ import annotations

import struct
from datetime import UTC, datetime
from importlib import resources
from itertools import islice

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.schedule.v1 import CalendarSpec, IntervalSpec, Range, ScheduleSpec, StructuredCalendarSpec

from perdure.history.schedules.calendar import Calendar
from perdure.history.schedules.notation import InvalidSpec
from perdure.history.schedules.spec import (
    EVALUATIONS_MAX,
    EVALUATIONS_PER_WALK,
    Times,
    TooManyExclusions,
    canonical,
    with_defaults,
)
from perdure.kernel.clock import SECOND_NS


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def times(spec: ScheduleSpec, after: str, count: int = 3, seed: str = "") -> list[str]:
    found = islice(Times(canonical(spec)).following(ns(after), seed), count)
    return [datetime.fromtimestamp(each.at_ns / SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S") for each in found]


def cron(*texts: str) -> ScheduleSpec:
    return ScheduleSpec(cron_string=texts)


@pytest.mark.parametrize(
    ("text", "after", "expected"),
    [
        ("30 9 * * *", "2026-11-20 10:00:00", ["2026-11-21 09:30:00", "2026-11-22 09:30:00"]),
        ("*/20 * * * *", "2026-11-20 10:00:00", ["2026-11-20 10:20:00", "2026-11-20 10:40:00"]),
        ("15 0 9 * * * *", "2026-11-20 10:00:00", ["2026-11-21 09:00:15", "2026-11-22 09:00:15"]),
        ("0 0 1 jan * 2030", "2026-11-20 10:00:00", ["2030-01-01 00:00:00"]),
        ("0 0 29 2 *", "2026-11-20 10:00:00", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 31 * sat,7", "2026-11-20 10:00:00", ["2027-01-31 00:00:00", "2027-07-31 00:00:00"]),
        ("@every 1d/6h", "2026-11-20 10:00:00", ["2026-11-21 06:00:00", "2026-11-22 06:00:00"]),
        ("@weekly # with a comment", "2026-11-20 10:00:00", ["2026-11-22 00:00:00", "2026-11-29 00:00:00"]),
        ("CRON_TZ=Asia/Kolkata 0 9 * * *", "2026-11-20 10:00:00", ["2026-11-21 03:30:00", "2026-11-22 03:30:00"]),
        ("0 0 30 2 *", "2026-11-20 10:00:00", []),
    ],
)
def test_cron_strings(text: str, after: str, expected: list[str]) -> None:
    assert times(cron(text), after, 2) == expected


@pytest.mark.parametrize(
    ("zone", "hour", "after", "expected"),
    [
        # 02:30 is skipped in the spring, and happens twice in the autumn.
        ("America/New_York", 2, "2026-03-08 00:00:00", ["2026-03-09 06:30:00", "2026-03-10 06:30:00"]),
        ("America/New_York", 1, "2026-11-01 00:00:00", ["2026-11-01 05:30:00", "2026-11-01 06:30:00"]),
        ("Europe/Berlin", 2, "2026-03-28 12:00:00", ["2026-03-30 00:30:00", "2026-03-31 00:30:00"]),
        ("Europe/Berlin", 1, "2026-10-24 12:00:00", ["2026-10-24 23:30:00", "2026-10-25 00:30:00"]),
        ("Europe/Berlin", 2, "2026-10-24 12:00:00", ["2026-10-25 01:30:00", "2026-10-26 01:30:00"]),
    ],
)
def test_clock_changes(zone: str, hour: int, after: str, expected: list[str]) -> None:
    assert times(cron(f"TZ={zone} 30 {hour} * * *"), after, 2) == expected


def test_a_zone_by_its_data() -> None:
    data = resources.files("tzdata").joinpath("zoneinfo", "America", "New_York").read_bytes()
    spec = ScheduleSpec(calendar=[CalendarSpec(hour="9")], timezone_name="Mine", timezone_data=data)
    assert times(spec, "2026-07-01 00:00:00", 1) == ["2026-07-01 13:00:00"]


def test_exclusions_and_bounds() -> None:
    spec = ScheduleSpec(
        interval=[IntervalSpec(interval=Duration(seconds=1))],
        exclude_calendar=[
            CalendarSpec(hour="0-22", minute="*", second="*"),
            CalendarSpec(hour="*", minute="0-58", second="*"),
        ],
        start_time=Timestamp(seconds=ns("2026-11-20 10:00:00") // SECOND_NS),
        end_time=Timestamp(seconds=ns("2026-11-21 23:59:00") // SECOND_NS),
    )
    assert times(spec, "2000-01-01 00:00:00", 1) == ["2026-11-20 23:59:00"]
    assert times(spec, "2026-11-20 23:59:59", 5) == ["2026-11-21 23:59:00"]


def test_the_first_second_counts() -> None:
    spec = ScheduleSpec(calendar=[CalendarSpec()], start_time=Timestamp(seconds=ns("2026-11-20 00:00:00") // SECOND_NS))
    assert times(spec, "2026-01-01 00:00:00", 1) == ["2026-11-20 00:00:00"]


def test_a_search_without_end_is_given_up() -> None:
    odd = StructuredCalendarSpec(
        second=[Range(end=59, step=2)],
        minute=[Range(end=59)],
        hour=[Range(end=23)],
        day_of_month=[Range(start=1, end=31)],
        month=[Range(start=1, end=12)],
        day_of_week=[Range(end=6)],
    )
    spec = ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=2))], exclude_structured_calendar=[odd])
    with pytest.raises(TooManyExclusions):
        times(spec, "2026-11-20 00:00:00")


def minute_of_each_hour(minute: int) -> StructuredCalendarSpec:
    return StructuredCalendarSpec(
        second=[Range(end=59)],
        minute=[Range(start=minute)],
        hour=[Range(end=23)],
        day_of_month=[Range(start=1, end=31)],
        month=[Range(start=1, end=12)],
        day_of_week=[Range(end=6)],
    )


def calendars(count: int) -> list[StructuredCalendarSpec]:
    return [
        StructuredCalendarSpec(
            second=[Range(start=number % 60)],
            minute=[Range(start=number // 60)],
            hour=[Range(end=23)],
            day_of_month=[Range(start=1, end=31)],
            month=[Range(start=1, end=12)],
            day_of_week=[Range(end=6)],
        )
        for number in range(count)
    ]


def test_a_spec_of_many_entries_is_given_up_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0
    search = Calendar.next_after

    def counted(calendar: Calendar, after: int) -> int | None:
        nonlocal looked_at
        looked_at += 1
        return search(calendar, after)

    monkeypatch.setattr(Calendar, "next_after", counted)
    spec = ScheduleSpec(
        structured_calendar=calendars(400),
        exclude_structured_calendar=[minute_of_each_hour(minute) for minute in range(7)],
    )
    with pytest.raises(TooManyExclusions):
        times(spec, "2026-11-20 00:00:00")
    assert looked_at <= EVALUATIONS_MAX


def test_a_long_weekend_minute_by_minute() -> None:
    holidays = [CalendarSpec(month="12", day_of_month=str(day), hour="*", minute="*") for day in range(1, 31)]
    spec = ScheduleSpec(
        calendar=[CalendarSpec(minute=f"{part}/5", hour="*") for part in range(5)],
        exclude_calendar=[
            CalendarSpec(day_of_week="fri-sat,sun-mon", hour="*", minute="*"),
            *holidays[:1],
            *holidays[10:],
        ],
    )
    assert times(spec, "2026-11-26 23:59:00", 1) == ["2026-12-02 00:00:00"]


def test_a_walk_through_many_times_pauses() -> None:
    wide = Times(canonical(ScheduleSpec(structured_calendar=calendars(500))))
    after = ns("2026-11-20 00:00:00")
    seconds: list[int] = []
    while len(seconds) < 200:
        found = list(wide.following(after, ""))
        assert 1 <= len(found) <= EVALUATIONS_PER_WALK // 500 + 1
        seconds += [(each.at_ns - ns("2026-11-20 00:00:00")) // SECOND_NS for each in found]
        after = found[-1].at_ns
    assert seconds == list(range(1, len(seconds) + 1))


def test_entries_that_say_the_same_count_once() -> None:
    spec = canonical(ScheduleSpec(cron_string=[f"30 9 * * * # {number}" for number in range(499)]))
    found = list(Times(spec).following(ns("2026-11-20 00:00:00"), ""))
    assert len(found) == EVALUATIONS_PER_WALK


def test_a_calendar_that_never_matches() -> None:
    never = StructuredCalendarSpec(minute=[Range()], hour=[Range()])
    assert times(ScheduleSpec(structured_calendar=[never]), "2026-11-20 00:00:00") == []


def test_jitter_is_that_of_the_reference_server() -> None:
    spec = ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=3600))], jitter=Duration(seconds=600))
    found = list(islice(Times(canonical(spec)).following(ns("2026-11-20 00:00:00"), "namespace-id-schedule-id"), 3))
    assert [each.nominal_ns for each in found] == [ns(f"2026-11-20 0{hour}:00:00") for hour in (1, 2, 3)]
    assert [(each.at_ns - each.nominal_ns) // 1_000_000 for each in found] == [344883, 38908, 118748]


def test_jitter_stays_before_the_next_time() -> None:
    spec = ScheduleSpec(interval=[IntervalSpec(interval=Duration(seconds=2))], jitter=Duration(seconds=3600))
    for each in islice(Times(canonical(spec)).following(ns("2026-11-20 00:00:00"), "seed-of-some-length"), 100):
        assert 0 <= each.at_ns - each.nominal_ns < 2 * SECOND_NS


def test_the_canonical_form() -> None:
    spec = canonical(ScheduleSpec(cron_string=["TZ=Europe/Berlin 0-30/10 9 * * 3-7/2 # x"]))
    [calendar] = spec.structured_calendar
    assert spec.timezone_name == "Europe/Berlin"
    assert not spec.cron_string
    assert calendar.comment == "x"
    assert list(calendar.minute) == [Range(start=0, end=30, step=10)]
    assert list(calendar.day_of_week) == [Range(start=0), Range(start=3, end=6, step=2)]
    assert not calendar.year
    assert canonical(spec) == spec
    assert list(with_defaults(spec).structured_calendar[0].hour) == [Range(start=9, end=9, step=1)]


def zone_file(offset_s: int) -> bytes:
    """A compiled zone that had this offset at first, and is UTC since 1970."""
    counts = struct.pack(">6I", 0, 0, 0, 1, 2, 8)
    types = struct.pack(">ibB", offset_s, 0, 0) + struct.pack(">ibB", 0, 0, 4)
    header = b"TZif2" + bytes(15)
    return (
        header
        + struct.pack(">6I", 0, 0, 0, 0, 1, 4)
        + struct.pack(">ibB", 0, 0, 0)
        + b"AAA\0"
        + (header + counts + struct.pack(">qB", 86_400, 1) + types + b"AAA\0BBB\0" + b"\nBBB0\n")
    )


def test_a_zone_from_a_file() -> None:
    spec = ScheduleSpec(cron_string=["0 12 * * *"], timezone_name="X", timezone_data=zone_file(3600))
    assert times(spec, "1970-01-01 00:00:00", 2) == ["1970-01-01 11:00:00", "1970-01-02 12:00:00"]


def test_a_clock_that_shows_nonsense() -> None:
    with pytest.raises(InvalidSpec, match="malformed time zone information"):
        canonical(ScheduleSpec(cron_string=["0 12 * * *"], timezone_name="X", timezone_data=zone_file(90_000)))


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        (cron("* * * *"), "CronString does not have 5-7 fields"),
        (cron("TZ=UTC"), "CronString has time zone but missing fields"),
        (cron("TZ=Nowhere 0 0 * * *"), "unknown time zone Nowhere"),
        (cron("TZ=../x 0 0 * * *"), "time: invalid location name"),
        (cron("TZ=UTC 0 0 * * *", "0 0 * * *"), "conflicting timezone names"),
        (cron("@every"), "CronString does not have interval after @every"),
        (cron("@every x"), 'time: invalid duration "x"'),
        (cron("@every 0.5s"), "interval is too small"),
        (cron("@every 1h/2h"), "phase cannot be greater than Interval"),
        (cron("@every 5m/-1m"), "phase is negative"),
        (cron("60 0 * * *"), "Minute is not in range [0-59]"),
        (cron("5-3 * * * *"), "Minute End is before Start or not in range [0-59]"),
        (cron("1-2-3 * * * *"), "Minute has too many dashes"),
        (cron("1/2/3 * * * *"), "Minute has too many slashes"),
        (cron("1/ * * * *"), "Minute missing step value"),
        (cron("1/x * * * *"), 'strconv.Atoi: parsing "x": invalid syntax'),
        (cron("1/0 * * * *"), "Minute has invalid Step"),
        (
            ScheduleSpec(calendar=[CalendarSpec(year="1999", month="x", second="60")]),
            "Second is not in range [0-59], Month is not in range [1-12], Year is not in range [2000-2100]",
        ),
        (
            ScheduleSpec(structured_calendar=[StructuredCalendarSpec(hour=[Range(start=5, end=3, step=-1)])]),
            "invalid calendar spec: Hour End is before Start or not in range [0-23], Hour has invalid Step",
        ),
        (ScheduleSpec(calendar=[CalendarSpec(comment="x" * 201)]), "invalid calendar spec: comment is too long"),
        (ScheduleSpec(interval=[IntervalSpec()]), "interval is too small"),
        (cron(*["0 0 * * *"] * 501), "501 calendars, exclusions and intervals exceed the limit of 500"),
        (ScheduleSpec(timezone_name="X", timezone_data=b"abc"), "malformed time zone information"),
    ],
    ids=str,
)
def test_what_is_wrong(spec: ScheduleSpec, fault: str) -> None:
    with pytest.raises(InvalidSpec) as raised:
        canonical(spec)
    assert str(raised.value) == fault
