"""PURE: the limit of namespaces that have not bought any capacity: it follows what they have used in the last week."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from perdure.api.resources.namespace_spec import UNIT_ACTIONS_PER_SECOND

#: What is looked at: whole hours.
WINDOW_HOURS = 7 * 24
_OF_MEAN, _OF_P90 = 4, 2


class Rates(NamedTuple):
    """Actions per second, of the hours of the window."""

    mean: float
    p90: float
    p99: float


def rates_of(hours: Sequence[float]) -> Rates:
    if not hours:
        return Rates(0, 0, 0)
    ordered = sorted(hours)
    return Rates(sum(hours) / len(hours), _percentile(ordered, 90), _percentile(ordered, 99))


def on_demand_limit(rates: Rates) -> int:
    """Actions per second. Never less than everybody has, and no more than its past makes likely."""
    return max(UNIT_ACTIONS_PER_SECOND, int(min(_OF_MEAN * rates.mean, _OF_P90 * rates.p90)))


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The least value that so many of them do not exceed."""
    return ordered[max(-(-len(ordered) * percent // 100) - 1, 0)]
