"""PURE: token buckets, which keep some tokens for those who are more important."""

from __future__ import annotations

from perdure.kernel.clock import SECOND_NS


class TokenBucket:
    """Fills with `rate` tokens per second up to `burst`, and starts full. `reserved` has for each priority, the most
    important first, the part of a full bucket that it must leave to those before it.

    One bucket for all priorities: when more is asked for than flows in, the level settles where only the most important
    of the callers find what they must leave behind.
    """

    __slots__ = ("_at_ns", "_burst", "_per_ns", "_reserved", "_reserves", "_tokens")

    def __init__(self, rate: float, burst: float, now_ns: int, reserved: tuple[float, ...] = (0.0,)) -> None:
        self._reserved = reserved
        self._at_ns = now_ns
        self._burst = self._tokens = 1.0
        self.resize(rate, burst)

    def resize(self, rate: float, burst: float) -> None:
        """From now on. It is as full afterwards as before, so that nobody is refused because a bucket has grown, and
        holds one token at least. A debt stays what it is.
        """
        self._per_ns = rate / SECOND_NS
        before, self._burst = self._burst, max(burst, 1.0)
        if self._tokens > 0:
            self._tokens *= self._burst / before
        self._reserves = tuple(part * (self._burst - 1) for part in self._reserved)

    def take(self, now_ns: int, priority: int = 0) -> bool:
        """Whether there was a token for this priority, which is gone now."""
        left = self._level(now_ns) - 1
        if left < self._reserves[priority]:
            return False
        self._tokens = left
        return True

    def charge(self, now_ns: int, tokens: int) -> None:
        """Take tokens whether they are there or not; the debt is paid before anybody gets one again."""
        self._tokens = self._level(now_ns) - tokens

    def _level(self, now_ns: int) -> float:
        # A clock that was set back lets nothing flow in for a moment.
        tokens = self._tokens + max(now_ns - self._at_ns, 0) * self._per_ns
        self._at_ns = now_ns
        self._tokens = tokens = min(tokens, self._burst)
        return tokens
