"""PURE: what a fairness key is entitled to: its weight, and how fast its tasks may go."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from perdure.kernel.rpc import Task
from perdure.matching.rate_limit import BURST_NS, NEVER_NS, interval_ns

_WEIGHT_MIN = 0.001
_WEIGHT_MAX = 1000.0


def weight_of(task: Task, overrides: Mapping[str, float]) -> float:
    """The weight of the task's key: what users set for the queue wins over what the task says."""
    weight = overrides.get(task.fairness_key, task.fairness_weight) if overrides else task.fairness_weight
    # Nearly all have this one.
    return weight if weight == 1.0 else min(max(weight, _WEIGHT_MIN), _WEIGHT_MAX)


class KeyLimits:
    """A leaky bucket for each fairness key, as `RateLimit` is for a queue. A key has the rate times its weight.

    At most `keys_max` are remembered. A key that is forgotten, the one used longest ago, may go a burst too early.
    """

    def __init__(self, rate: float, keys_max: int) -> None:
        self.rate = rate
        self._keys_max = keys_max
        self._ready_at_ns: OrderedDict[str, int] = OrderedDict()

    def change(self, rate: float, now_ns: int) -> None:
        """Limit a key of weight 1 to `rate` tasks per second from now on."""
        self.rate = rate
        # A slower rate, or none, may have put the next task far into the future.
        latest_ns = now_ns + self._interval_ns(1.0)
        for key, ready_at_ns in self._ready_at_ns.items():
            self._ready_at_ns[key] = min(ready_at_ns, latest_ns)

    def ready_at_ns(self, key: str) -> int:
        """From when on the next task of this key may go."""
        return self._ready_at_ns.get(key, 0) if self.rate > 0 else NEVER_NS

    def consume(self, key: str, weight: float, now_ns: int) -> None:
        """Count one task that goes now."""
        ready_at_ns = max(now_ns - BURST_NS, self._ready_at_ns.get(key, 0)) + self._interval_ns(weight)
        self._ready_at_ns[key] = ready_at_ns
        self._ready_at_ns.move_to_end(key)
        if len(self._ready_at_ns) > self._keys_max:
            self._ready_at_ns.popitem(last=False)

    def refund(self, key: str, weight: float) -> None:
        """Take one task back: no worker got to see it."""
        if key in self._ready_at_ns:
            self._ready_at_ns[key] -= self._interval_ns(weight)

    def _interval_ns(self, weight: float) -> int:
        return interval_ns(self.rate * weight) or NEVER_NS
