"""PURE: how fast one queue may hand out tasks."""

from __future__ import annotations

from perdure.kernel.clock import SECOND_NS

#: How much of a second's worth of tasks may go at once after a pause.
BURST_NS = SECOND_NS
#: Later than anything that anybody waits for.
NEVER_NS = 1 << 62


class RateLimit:
    """A leaky bucket, kept as the one instant from which the next task may go (the generic cell rate algorithm).

    A rate of zero pauses the queue.
    """

    __slots__ = ("_interval_ns", "rate", "ready_at_ns")

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.ready_at_ns = 0
        self._interval_ns = interval_ns(rate)
        if not self._interval_ns:
            self.ready_at_ns = NEVER_NS

    def change(self, rate: float, now_ns: int) -> None:
        """Limit to `rate` tasks per second from now on."""
        if rate == self.rate:
            return
        self.rate = rate
        self._interval_ns = interval_ns(rate)
        if not self._interval_ns:
            self.ready_at_ns = NEVER_NS
        else:
            # A slower rate, or none, may have put the next task far into the future.
            self.ready_at_ns = min(self.ready_at_ns, now_ns + self._interval_ns)

    def consume(self, now_ns: int) -> None:
        """Count one task that goes now."""
        if self._interval_ns:
            self.ready_at_ns = max(now_ns - BURST_NS, self.ready_at_ns) + self._interval_ns

    def refund(self) -> None:
        """Take one task back: it turned out to be stale and no worker was bothered."""
        if self._interval_ns:
            self.ready_at_ns -= self._interval_ns


def interval_ns(rate: float) -> int:
    """Nanoseconds between two tasks, or 0 for a rate too small to ever let one go."""
    return max(int(SECOND_NS / rate), 1) if rate > 1e-9 else 0
