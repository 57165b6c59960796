from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.kernel import cron
from perdure.kernel.clock import SECOND_NS


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def following(spec: str, after: str, count: int = 3) -> list[str]:
    instants: list[str] = []
    instant = ns(after)
    for _ in range(count):
        step = cron.next_after(spec, instant)
        if step is None:
            break
        instant = step
        instants.append(datetime.fromtimestamp(instant // SECOND_NS, UTC).strftime("%Y-%m-%d %H:%M:%S"))
    return instants


@pytest.mark.parametrize(
    ("spec", "after", "expected"),
    [
        ("* * * * *", "2026-03-01 10:59:30", ["2026-03-01 11:00:00", "2026-03-01 11:01:00"]),
        ("*/15 9-10 * * mon-fri", "2026-11-20 10:45:00", ["2026-11-23 09:00:00", "2026-11-23 09:15:00"]),
        ("5/20 * * * *", "2026-03-01 10:00:00", ["2026-03-01 10:05:00", "2026-03-01 10:25:00"]),
        ("0 0 29 feb ?", "2026-01-01 00:00:00", ["2028-02-29 00:00:00", "2032-02-29 00:00:00"]),
        ("0 0 31 * *", "2026-01-31 00:00:00", ["2026-03-31 00:00:00", "2026-05-31 00:00:00"]),
        # Both day fields given: either one will do. A field that begins open does not count as given.
        ("0 0 13 * fri", "2026-02-01 00:00:00", ["2026-02-06 00:00:00", "2026-02-13 00:00:00"]),
        ("0 0 13 * *", "2026-02-01 00:00:00", ["2026-02-13 00:00:00", "2026-03-13 00:00:00"]),
        ("@yearly", "2026-02-01 00:00:00", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("@weekly", "2026-11-20 10:00:00", ["2026-11-22 00:00:00", "2026-11-29 00:00:00"]),
        ("@hourly", "2026-11-20 10:00:00", ["2026-11-20 11:00:00", "2026-11-20 12:00:00"]),
        ("@every 1h30m", "2026-11-20 10:00:07", ["2026-11-20 11:30:07", "2026-11-20 13:00:07"]),
        ("@every 1.5s", "2026-11-20 10:00:00", ["2026-11-20 10:00:01", "2026-11-20 10:00:02"]),
        ("@every 10ms", "2026-11-20 10:00:00", ["2026-11-20 10:00:01", "2026-11-20 10:00:02"]),
        ("CRON_TZ=Europe/Berlin 0 9 * * *", "2026-03-28 00:00:00", ["2026-03-28 08:00:00", "2026-03-29 07:00:00"]),
        ("TZ=Asia/Kolkata 30 9 * * *", "2026-03-28 00:00:00", ["2026-03-28 04:00:00", "2026-03-29 04:00:00"]),
        # 02:30 does not exist in Berlin on 2026-03-29.
        ("TZ=Europe/Berlin 30 2 * * *", "2026-03-28 12:00:00", ["2026-03-30 00:30:00", "2026-03-31 00:30:00"]),
        # 01:30 exists twice in New York on 2026-11-01.
        ("TZ=America/New_York 30 1 * * *", "2026-10-31 12:00:00", ["2026-11-01 05:30:00", "2026-11-01 06:30:00"]),
    ],
)
def test_next(spec: str, after: str, expected: list[str]) -> None:
    assert following(spec, after, len(expected)) == expected


def test_what_never_happens() -> None:
    assert cron.next_after("0 0 30 2 *", ns("2026-01-01 00:00:00")) is None


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "5-1 * * * *",
        "1-2-3 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "-1 * * * *",
        "\N{ARABIC-INDIC DIGIT FIVE} * * * *",
        "@never",
        "@every",
        "@every 5",
        "@every x",
        "@every 1h2",
        "TZ=Nowhere * * * * *",
        "TZ=UTC",
        "TZ=../etc/passwd * * * * *",
        "9" * 2000,
    ],
)
def test_what_is_no_schedule(spec: str) -> None:
    with pytest.raises(cron.InvalidSchedule):
        cron.validate(spec)


@given(st.text(max_size=40))
def test_any_text_is_a_schedule_or_refused(text: str) -> None:
    try:
        cron.validate(text)
    except cron.InvalidSchedule:
        return
    instant = cron.next_after(text, ns("2026-01-01 00:00:00"))
    assert instant is None or instant > ns("2026-01-01 00:00:00")


@given(
    st.integers(0, 59),
    st.integers(0, 23),
    st.integers(min_value=0, max_value=4_000_000_000).map(lambda s: s * SECOND_NS),
)
def test_daily_schedules_match_their_fields(minute: int, hour: int, after_ns: int) -> None:
    instant = cron.next_after(f"{minute} {hour} * * *", after_ns)
    assert instant is not None
    assert after_ns < instant <= after_ns + 86_400 * SECOND_NS
    moment = datetime.fromtimestamp(instant // SECOND_NS, UTC)
    assert (moment.minute, moment.hour, moment.second) == (minute, hour, 0)
