from __future__ import annotations

import pytest

from perdure.frontend.longpoll import POLL_NS_MAX, QUERY_NS_MAX, deadline
from perdure.frontend.routes import Wait
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from perdure.kernel.limits import Limits

LIMITS = Limits()
NOW = 1_000 * SECOND_NS


@pytest.mark.parametrize(
    ("wait", "remaining_s", "expected_ns"),
    [
        (Wait.NONE, None, None),
        (Wait.NONE, 5.0, 5 * SECOND_NS),
        (Wait.POLL, 10.0, 9 * SECOND_NS),
        (Wait.POLL, 600.0, POLL_NS_MAX),
        (Wait.READ, None, LIMITS.long_poll_ns),
        (Wait.READ, 10.0, 9 * SECOND_NS),
        (Wait.READ, 0.5, 0),
        (Wait.READ, 600.0, LIMITS.long_poll_ns),
        (Wait.QUERY, None, QUERY_NS_MAX),
        (Wait.QUERY, 3.0, 3 * SECOND_NS),
    ],
)
def test_deadline(wait: Wait, remaining_s: float | None, expected_ns: int | None) -> None:
    expected = None if expected_ns is None else NOW + expected_ns
    assert deadline(wait, NOW, remaining_s, LIMITS) == expected


def test_polls_need_a_deadline_to_end_before() -> None:
    with pytest.raises(InvalidArgument):
        deadline(Wait.POLL, NOW, None, LIMITS)
    with pytest.raises(FailedPrecondition):
        deadline(Wait.POLL, NOW, 1.9, LIMITS)
