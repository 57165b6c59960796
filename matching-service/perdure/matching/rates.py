"""PURE: how many things happened per second lately."""

from __future__ import annotations

from perdure.kernel.clock import SECOND_NS

_BUCKET_NS = 5 * SECOND_NS
_BUCKETS = 6


class RecentRate:
    """Counts over the last half minute, in buckets of five seconds."""

    __slots__ = ("_buckets", "_current", "_ends_at_ns", "_started_at_ns")

    def __init__(self, now_ns: int) -> None:
        self._started_at_ns = now_ns
        self._ends_at_ns = now_ns + _BUCKET_NS
        self._buckets = [0] * (_BUCKETS + 1)
        self._current = 0

    def count(self, now_ns: int) -> None:
        """One more happened now."""
        if now_ns >= self._ends_at_ns:
            self._advance(now_ns)
        self._buckets[self._current] += 1

    def per_second(self, now_ns: int) -> float:
        """The mean rate over the window, or since the start if that was later."""
        if now_ns >= self._ends_at_ns:
            self._advance(now_ns)
        in_bucket_ns = now_ns - (self._ends_at_ns - _BUCKET_NS)
        elapsed_ns = min(_BUCKETS * _BUCKET_NS + in_bucket_ns, now_ns - self._started_at_ns)
        return sum(self._buckets) * SECOND_NS / elapsed_ns if elapsed_ns > 0 else 0.0

    def _advance(self, now_ns: int) -> None:
        steps = (now_ns - self._ends_at_ns) // _BUCKET_NS + 1
        for _ in range(min(steps, len(self._buckets))):
            self._current = (self._current + 1) % len(self._buckets)
            self._buckets[self._current] = 0
        self._ends_at_ns += steps * _BUCKET_NS
