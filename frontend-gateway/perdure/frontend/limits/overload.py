"""PURE: shedding of load that the process cannot carry, whoever it comes from.

Two things are watched. How long a call has waited when it is looked at, measured by `perdure.frontend.probe`: it says
that the processor is overloaded. And how many calls are being worked on: it says that a store or another process has
become slow, since calls that wait for it stay.

Calls that waited too long are refused until the queue is shorter again. So there is always work, nobody waits for long,
and nothing needs to be tuned to what the process can do.

Work that was begun is finished before other is begun: the less a call has cost until now, the earlier it is refused.
And the processor is shared: whoever asks for little is let in for longer than those who make the overload.
"""

from __future__ import annotations

import math
from collections import deque
from enum import IntEnum

from temporalio.api.enums.v1 import ResourceExhaustedCause, ResourceExhaustedScope

from perdure.frontend.limits import OverLimit
from perdure.frontend.limits.demand import Demand
from perdure.frontend.limits.namespaces import NO_NAMESPACE
from perdure.frontend.metrics import GatewayMetrics
from perdure.frontend.routes import Priority, Quota, Route, Wait
from perdure.kernel.clock import SECOND_NS

LIMIT = "system_overload"
#: Calls being worked on at the same time.
IN_FLIGHT_MAX = 5000
#: Waits of which the shortest counts.
SAMPLES = 3
#: Refusals leave at this rate if they can. Refusing costs a good part of what serving does, and clients that come back
#: at once must not spend the process on it.
REFUSALS_PER_S = 100
#: For so long a refusal is held back at most, if it is the process that is overloaded; and so many are.
HELD_S_MAX = 5.0
HELD_MAX = 5000
#: And if it is a namespace that is over its limit. There is time for others then, which the thousands of calls of a
#: client that does not wait for answers would take up by only being there: the garbage collector looks at each.
HELD_OVER_LIMIT_S_MAX = 0.5


class Rank(IntEnum):
    """Who is refused first under overload: the highest number."""

    FINISH = 0
    TAKE = 1
    CHANGE = 2
    BEGIN = 3
    LOOK = 4


#: How long calls of a rank may have waited, in seconds. Clients do not mind the shorter ones yet.
PATIENCE_S = {Rank.FINISH: 3.0, Rank.TAKE: 1.0, Rank.CHANGE: 0.75, Rank.BEGIN: 0.5, Rank.LOOK: 0.35}
#: So much longer may calls of a namespace have waited that asks for little.
MODEST_FACTOR = 3
#: The part of IN_FLIGHT_MAX up to which calls of a rank are let in.
SHARES = {Rank.FINISH: 1.0, Rank.TAKE: 0.9, Rank.CHANGE: 0.8, Rank.BEGIN: 0.7, Rank.LOOK: 0.5}
_PATIENCE_S = tuple(PATIENCE_S[rank] for rank in Rank)
_CROWD = tuple(math.ceil(IN_FLIGHT_MAX * SHARES[rank]) for rank in Rank)


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
    """Lets calls in, or not.

    `begin` and `end` are for calls that are worked on all the time; those that wait for something are let in as they
    come, and leave the number in flight as it is.
    """

    __slots__ = ("_demand", "_in_flight", "_metrics", "_samples", "_wait_s")

    def __init__(self, metrics: GatewayMetrics) -> None:
        self._metrics = metrics
        self._demand = Demand()
        self._in_flight = 0
        self._samples = deque([0.0], maxlen=SAMPLES)
        self._wait_s = 0.0

    def check(self, rank: Rank, namespace: str, now_ns: int) -> None:
        """Raises OverLimit if a call of this rank has to come back later. To be asked about every call.

        `namespace` is one that exists, or NO_NAMESPACE.
        """
        self._demand.count(namespace, now_ns)
        if self._has_waited_too_long(rank, namespace) or self._in_flight >= _CROWD[rank]:
            self._metrics.refusals[NO_NAMESPACE, LIMIT] += 1
            raise OverLimit(
                LIMIT,
                "the server is overloaded, try again later",
                ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_SYSTEM_OVERLOADED,
                ResourceExhaustedScope.RESOURCE_EXHAUSTED_SCOPE_SYSTEM,
            )

    def disown(self, namespace: str) -> None:
        """A call that was let in did not come from those whose namespace it named: they must not be refused for it."""
        self._demand.disown(namespace, NO_NAMESPACE)

    def _has_waited_too_long(self, rank: Rank, namespace: str) -> bool:
        patience_s = _PATIENCE_S[rank]
        if self._wait_s <= patience_s:
            return False
        return self._wait_s > MODEST_FACTOR * patience_s or not self._demand.is_modest(namespace)

    def begin(self) -> None:
        self._in_flight += 1

    def end(self) -> None:
        self._in_flight -= 1

    def waited(self, wait_s: float) -> None:
        """To be told, as often as possible, how long the calls have waited that are looked at now.

        A process that was held still for a moment is not overloaded: only the shortest of some waits counts.
        """
        self._samples.append(wait_s)
        self._wait_s = self._metrics.admission_wait_s = min(self._samples)


class Damper:
    """Spreads refusals over time.

    Those that would have to be held back for longer than `held_s_max` leave then, or at once with `lets_go`.
    """

    __slots__ = ("_held_ns_max", "_lets_go", "_next_ns")

    def __init__(self, held_s_max: float, *, lets_go: bool = False) -> None:
        self._held_ns_max = int(held_s_max * SECOND_NS)
        self._lets_go = lets_go
        self._next_ns = 0

    def delay_s(self, now_ns: int) -> float:
        """How long to hold back the refusal that is ready now."""
        step_ns = SECOND_NS // REFUSALS_PER_S
        delay_ns = max(self._next_ns - now_ns, 0)
        if delay_ns > self._held_ns_max + step_ns:
            # The clock was set back.
            delay_ns = 0
        if delay_ns > self._held_ns_max:
            if self._lets_go:
                return 0.0
            delay_ns = self._held_ns_max
        self._next_ns = now_ns + delay_ns + step_ns
        return delay_ns / SECOND_NS
