"""What each namespace may still do on this gateway.

Limits are those of the whole cluster. A gateway grants its share of them, which is right as long as clients are spread
evenly over the gateways, and never exceeds the limit in any case.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import Any, NamedTuple

from temporalio.api.enums.v1 import ResourceExhaustedCause

from perdure.frontend.limits import OverLimit, actions
from perdure.frontend.limits.reserves import RESERVES
from perdure.frontend.routes import Priority, Quota, Route, Scope, Wait
from perdure.kernel.buckets import TokenBucket
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.limits import NamespaceLimits

#: How soon other limits, or another number of gateways, are noticed.
RENEWAL_NS = SECOND_NS
GATES_MAX = 10_000
#: Seconds' worth of changes that a quiet namespace may make at once.
CHANGE_BURST_S = 10
#: The gate of calls that concern no namespace that is known.
NO_NAMESPACE = ""

_KEYS = {field.name: key for key, field in NamespaceLimits.keys().items()}
#: The beginnings of the messages are those that clients of the protocol know.
_MEANINGS = {
    "requests_per_second": "namespace rate limit",
    "visibility_per_second": "namespace rate limit",
    "changes_per_second": "namespace rate limit",
    "actions_per_second": "namespace action rate limit",
    "waiting_calls_max": "namespace concurrent poller limit",
    "pending_calls_max": "namespace pending call limit",
}
_RPS = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT
_APS = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_APS_LIMIT
_CONCURRENT = ResourceExhaustedCause.RESOURCE_EXHAUSTED_CAUSE_CONCURRENT_LIMIT


class Meter(IntEnum):
    """Which rate a call draws on."""

    REQUESTS = 0
    VISIBILITY = 1
    CHANGES = 2


_RATES = ("requests_per_second", "visibility_per_second", "changes_per_second")


class Holds(IntEnum):
    """What a call takes up until it is answered. The ends of work that was begun earlier take up nothing."""

    NOTHING = 0
    WORK = 1
    WAIT = 2


class Toll(NamedTuple):
    """What a kind of call costs its namespace."""

    rpc: str
    meter: Meter
    priority: Priority
    holds: Holds
    asked: Callable[[Any], int] | None
    done: Callable[[Any], int] | None


def toll_of(rpc: str, route: Route) -> Toll | None:
    """None for calls that are nobody's."""
    if route.quota is Quota.SYSTEM and route.scope is Scope.CLUSTER:
        return None
    meter = {Quota.VISIBILITY: Meter.VISIBILITY, Quota.NAMESPACE: Meter.CHANGES}.get(route.quota, Meter.REQUESTS)
    holds = Holds.WORK if route.wait is Wait.NONE else Holds.WAIT
    if route.quota is Quota.WORKER:
        holds = Holds.NOTHING
    # Only requests are of different importance.
    priority = route.priority if meter is Meter.REQUESTS else Priority.SYSTEM
    return Toll(rpc, meter, priority, holds, actions.ASKED.get(rpc), actions.DONE.get(rpc))


class Gate:
    """One namespace on this gateway. A call goes through `enter`, and through `leave` when it is answered."""

    __slots__ = (
        "_actions",
        "_gateways",
        "_limits",
        "_meters",
        "_name",
        "_pending",
        "_pending_max",
        "_refusals",
        "_waiting",
        "_waiting_max",
        "renewed_at_ns",
    )

    def __init__(
        self, name: str, limits: NamespaceLimits, gateways: int, refusals: Counter[tuple[str, str]], now_ns: int
    ) -> None:
        self._name = name
        self._refusals = refusals
        self._pending = 0
        self._waiting: dict[str, int] = {}
        self._take_over(limits, gateways)
        self._meters = tuple(TokenBucket(*self._rate(meter), now_ns, RESERVES) for meter in Meter)
        self._actions = TokenBucket(*self._action_rate(), now_ns, RESERVES) if limits.actions_per_second else None
        self.renewed_at_ns = now_ns

    @property
    def idle(self) -> bool:
        """Whether nobody is inside."""
        return not self._pending and not any(self._waiting.values())

    def renew(self, limits: NamespaceLimits, gateways: int, now_ns: int) -> None:
        """From now on there are these limits, shared by so many gateways."""
        self.renewed_at_ns = now_ns
        if limits == self._limits and gateways == self._gateways:
            return
        self._take_over(limits, gateways)
        for meter in Meter:
            self._meters[meter].resize(*self._rate(meter))
        if not limits.actions_per_second:
            self._actions = None
        elif self._actions is None:
            self._actions = TokenBucket(*self._action_rate(), now_ns, RESERVES)
        else:
            self._actions.resize(*self._action_rate())

    def enter(self, toll: Toll, request: Any, now_ns: int) -> None:
        """Raises OverLimit, and then the call is not inside."""
        if toll.holds is Holds.WORK:
            if self._pending >= self._pending_max:
                raise self._refusal("pending_calls_max", _CONCURRENT)
        elif toll.holds is Holds.WAIT and self._waiting.get(toll.rpc, 0) >= self._waiting_max:
            raise self._refusal("waiting_calls_max", _CONCURRENT)
        if not self._meters[toll.meter].take(now_ns, toll.priority):
            raise self._refusal(_RATES[toll.meter], _RPS)
        if self._actions is not None:
            self._act(self._actions, toll, request, now_ns)
        if toll.holds is Holds.WORK:
            self._pending += 1
        elif toll.holds is Holds.WAIT:
            self._waiting[toll.rpc] = self._waiting.get(toll.rpc, 0) + 1

    def leave(self, toll: Toll) -> None:
        if toll.holds is Holds.WORK:
            self._pending -= 1
        elif toll.holds is Holds.WAIT:
            self._waiting[toll.rpc] -= 1

    def _act(self, bucket: TokenBucket, toll: Toll, request: Any, now_ns: int) -> None:
        if toll.asked is not None:
            if not bucket.take(now_ns):
                raise self._refusal("actions_per_second", _APS)
            bucket.charge(now_ns, toll.asked(request) - 1)
        elif toll.done is not None:
            bucket.charge(now_ns, toll.done(request))

    def _refusal(self, limit: str, cause: ResourceExhaustedCause.ValueType) -> OverLimit:
        self._refusals[self._name, limit] += 1
        what, allowed = _MEANINGS[limit], getattr(self._limits, limit)
        return OverLimit(limit, f"{what} exceeded: {_KEYS[limit]} is {allowed}", cause)

    def _take_over(self, limits: NamespaceLimits, gateways: int) -> None:
        self._limits, self._gateways = limits, gateways
        self._pending_max = -(-limits.pending_calls_max // gateways)
        self._waiting_max = -(-limits.waiting_calls_max // gateways)

    def _rate(self, meter: Meter) -> tuple[float, float]:
        """Tokens per second, and how many there can be."""
        rate = getattr(self._limits, _RATES[meter]) / self._gateways
        burst_s = {Meter.REQUESTS: self._limits.request_burst_s, Meter.VISIBILITY: 1, Meter.CHANGES: CHANGE_BURST_S}
        return rate, rate * burst_s[meter]

    def _action_rate(self) -> tuple[float, float]:
        rate = self._limits.actions_per_second / self._gateways
        return rate, rate * self._limits.request_burst_s


class NamespaceGates:
    """The gates of all namespaces. `refusals` counts by namespace and limit."""

    def __init__(
        self,
        limits_of: Callable[[str], NamespaceLimits],
        gateways: Callable[[], int],
        refusals: Counter[tuple[str, str]],
    ) -> None:
        """`limits_of` is asked by the namespace's name, `gateways` for how many gateways serve the cluster now."""
        self._limits_of = limits_of
        self._gateways = gateways
        self._refusals = refusals
        self._gates: dict[str, Gate] = {}

    def __len__(self) -> int:
        return len(self._gates)

    def of(self, name: str, now_ns: int) -> Gate:
        """The gate of a namespace that exists, or of NO_NAMESPACE."""
        gate = self._gates.get(name)
        if gate is None:
            return self._open(name, now_ns)
        # Beyond either end if the clock was set back.
        if not 0 <= now_ns - gate.renewed_at_ns < RENEWAL_NS:
            gate.renew(self._limits_of(name), self._share(), now_ns)
        return gate

    def _open(self, name: str, now_ns: int) -> Gate:
        if len(self._gates) >= GATES_MAX:
            # An idle namespace gets its burst once more, which is harmless.
            self._gates = {known: gate for known, gate in self._gates.items() if not gate.idle}
        gate = self._gates[name] = Gate(name, self._limits_of(name), self._share(), self._refusals, now_ns)
        return gate

    def _share(self) -> int:
        # Nobody is a member before he has joined, but whoever asks is there.
        return max(self._gateways(), 1)
