"""Retries that cannot become a storm. PURE."""

from __future__ import annotations

#: Retries that each call allows for: when everybody fails, calls grow by a fifth and no more.
RETRIES_PER_CALL = 0.2
#: What may be saved up. It is also there at the start, so that a process with few calls can retry at all.
SAVED_MAX = 10.0
#: The floor: a process that hardly calls anybody has this many retries a second.
RETRIES_PER_S_MIN = 1.0


class RetryBudget:
    """A token bucket that is filled by calls, and slowly by time.

    One for each kind of peer: a broken peer must not use up the retries of the others.
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self._saved = SAVED_MAX
        self._at_s = now_s

    def called(self) -> None:
        """Count a call that is not a retry."""
        self._saved = min(self._saved + RETRIES_PER_CALL, SAVED_MAX)

    def may_retry(self, now_s: float) -> bool:
        """Take one retry, if there is one left. `now_s` must never go back; only differences count."""
        self._saved = min(self._saved + (now_s - self._at_s) * RETRIES_PER_S_MIN, SAVED_MAX)
        self._at_s = now_s
        if self._saved < 1:
            return False
        self._saved -= 1
        return True
