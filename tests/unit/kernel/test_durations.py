"""Lengths of time in Go's notation."""

import pytest

from perdure.kernel import durations
from perdure.kernel.clock import SECOND_NS


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("1h30m", 5400), ("1.5s", 1.5), ("-2m", -120), ("+3s", 3), ("0", 0), (".5s", 0.5)],
)
def test_lengths(text: str, seconds: float) -> None:
    assert durations.parse(text) == seconds * SECOND_NS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        (".s", 'time: invalid duration ".s"'),
        ("5", 'time: missing unit in duration "5"'),
        ("1h2", 'time: missing unit in duration "1h2"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("2d", 'time: unknown unit "d" in duration "2d"'),
        ("9999999999h", 'time: invalid duration "9999999999h"'),
    ],
)
def test_what_is_no_length(text: str, fault: str) -> None:
    with pytest.raises(durations.InvalidDuration) as raised:
        durations.parse(text)
    assert str(raised.value) == fault


def test_days() -> None:
    assert durations.parse_with_days("1.5d30m") == (36 * 3600 + 1800) * SECOND_NS
