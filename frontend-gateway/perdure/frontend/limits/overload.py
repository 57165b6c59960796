"""Shedding of load that the process cannot carry, whoever it comes from.

The number of calls being worked on is limited, and the limit follows the lag of the event loop: how much later than due
its timers run, which is how long whatever is ready has to wait. A store that has become slow shows in the number alone,
since calls that wait for it stay.

Work that was begun is finished before other is begun: the less a call has cost until now, the earlier it is refused.
"""

from __future__ import annotations

import asyncio
import math
from enum import IntEnum

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.frontend.limits import OverLimit
from perdure.frontend.limits.namespaces import NO_NAMESPACE
from perdure.frontend.routes import Priority, Quota, Route, Wait
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.metrics import GatewayMetrics

LIMIT = "system_overload"
LIMIT_START = 1000
LIMIT_MIN = 100
LIMIT_MAX = 5000
#: The lag at which the limit stays as it is. Clients do not mind it, and the process is never without work.
LAG_S_TARGET = 0.25
GROWTH = 1.1
SHRINKAGE_MAX = 0.5
#: How often the lag is looked at, and how often the limit is set by the smallest of what was seen: a single pause is no
#: overload.
SAMPLE_S = 0.02
WINDOW_S = 0.1
#: Refusals leave at this rate if they can, and are held back for so long at most. Refusing costs a good part of what
#: serving does, and clients that come back at once must not spend the process on it.
REFUSALS_PER_S = 500
HELD_S_MAX = 5.0


class Rank(IntEnum):
    """Who is refused first under overload: the highest number."""

    FINISH = 0
    TAKE = 1
    CHANGE = 2
    BEGIN = 3
    LOOK = 4


#: The part of the limit up to which calls of a rank are let in.
SHARES = {Rank.FINISH: 1.0, Rank.TAKE: 0.9, Rank.CHANGE: 0.8, Rank.BEGIN: 0.7, Rank.LOOK: 0.5}
_CROWD = LIMIT_MIN * min(SHARES.values())


def rank_of(route: Route) -> Rank:
    """Polls come before what makes work for them, unlike in a namespace's rate: else all work begun would be stuck."""
    if route.quota is Quota.WORKER or route.priority is Priority.SYSTEM:
        return Rank.FINISH
    if route.wait is Wait.POLL:
        return Rank.TAKE
    if route.quota is Quota.VISIBILITY or route.priority > Priority.CHANGE:
        return Rank.LOOK
    return Rank.CHANGE if route.priority is Priority.CHANGE else Rank.BEGIN


class Admission:
    """Lets calls in as long as there are few enough inside.

    `begin` and `end` are for calls that are worked on all the time; those that wait for something are let in as they
    come, and leave the number as it is.
    """

    __slots__ = ("_in_flight", "_limit", "_metrics", "_peak", "_thresholds")

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._in_flight = 0
        #: The most there were since the limit was last set.
        self._peak = 0
        self._set(LIMIT_START)

    @property
    def limit(self) -> float:
        return self._limit

    @property
    def crowded(self) -> bool:
        """Whether the lag matters: below this nobody is refused whatever it is."""
        return self._in_flight >= _CROWD

    def check(self, rank: Rank) -> None:
        """Raises OverLimit if a call of this rank has to come back later."""
        if self._in_flight >= self._thresholds[rank]:
            self._metrics.refusals[NO_NAMESPACE, LIMIT] += 1
            raise OverLimit(
                LIMIT,
                "the server is overloaded, try again later",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
            )

    def begin(self) -> bool:
        """Returns `crowded`."""
        self._in_flight = count = self._in_flight + 1
        if count > self._peak:
            self._peak = count
        return count >= _CROWD

    def end(self) -> None:
        self._in_flight -= 1

    def adjust(self, lag_s: float) -> None:
        """To be called every WINDOW_S with the smallest lag of that time."""
        if lag_s > LAG_S_TARGET:
            self._set(min(self._limit, self._peak) * max(LAG_S_TARGET / lag_s, SHRINKAGE_MAX))
        elif self._peak > self._limit / 2:
            self._set(self._limit * GROWTH)
        self._peak = self._in_flight

    def _set(self, limit: float) -> None:
        self._limit = self._metrics.admission_limit = min(max(limit, LIMIT_MIN), LIMIT_MAX)
        self._thresholds = tuple(math.ceil(self._limit * SHARES[rank]) for rank in Rank)


class LagSampler:
    """Measures the lag of the event loop for an `Admission`, as long as it is crowded. Otherwise it costs nothing."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._window_end_s = 0.0
        self._smallest_s = math.inf

    @property
    def running(self) -> bool:
        return self._timer is not None

    def watch(self) -> None:
        """Begin to measure; does nothing while it does."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._open_window(loop.time())
            self._arm(loop)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        self._due_s = loop.time() + SAMPLE_S
        self._timer = loop.call_at(self._due_s, self._sample, loop)

    def _sample(self, loop: asyncio.AbstractEventLoop) -> None:
        now_s = loop.time()
        self._smallest_s = min(self._smallest_s, now_s - self._due_s)
        if now_s >= self._window_end_s:
            self._admission.adjust(self._smallest_s)
            self._open_window(now_s)
        if self._admission.crowded:
            self._arm(loop)
        else:
            self._timer = None

    def _open_window(self, now_s: float) -> None:
        self._window_end_s = now_s + WINDOW_S
        self._smallest_s = math.inf


class Damper:
    """Spreads refusals over time. PURE."""

    __slots__ = ("_next_ns",)

    def __init__(self) -> None:
        self._next_ns = 0

    def delay_s(self, now_ns: int) -> float:
        """How long to hold back the refusal that is ready now."""
        last_ns = now_ns + int(HELD_S_MAX * SECOND_NS)
        turn_ns = min(max(self._next_ns, now_ns), last_ns)
        self._next_ns = turn_ns + SECOND_NS // REFUSALS_PER_S
        return (turn_ns - now_ns) / SECOND_NS
