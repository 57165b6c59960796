"""PURE: whose calls there are, of late."""

from __future__ import annotations

from collections import Counter

from perdure.kernel.clock import SECOND_NS

#: Calls count for one to two of these.
_WINDOW_NS = SECOND_NS


class Demand:
    """Calls by namespace. Whoever counts them sees to it that names which are made up are counted as one."""

    __slots__ = ("_calls", "_since_ns", "_total", "_window")

    def __init__(self) -> None:
        self._since_ns = 0
        #: Calls of this window, and of this one and the one before.
        self._window: Counter[str] = Counter()
        self._calls: Counter[str] = Counter()
        self._total = 0

    def count(self, namespace: str, now_ns: int) -> None:
        # Beyond either end if the clock was set back.
        if not 0 <= now_ns - self._since_ns < _WINDOW_NS:
            self._turn(now_ns)
        self._window[namespace] += 1
        self._calls[namespace] += 1
        self._total += 1

    def disown(self, namespace: str, owner: str) -> None:
        """A call that was just counted is this owner's instead."""
        if self._window[namespace]:
            self._window[namespace] -= 1
            self._window[owner] += 1
        if self._calls[namespace]:
            self._calls[namespace] -= 1
            self._calls[owner] += 1

    def is_modest(self, namespace: str) -> bool:
        """Whether it asks for less than half of an even share: then it is others who ask for too much."""
        return 2 * self._calls[namespace] * len(self._calls) < self._total

    def _turn(self, now_ns: int) -> None:
        self._calls = self._window if now_ns - self._since_ns < 2 * _WINDOW_NS else Counter()
        self._total = self._calls.total()
        self._window = Counter()
        self._since_ns = now_ns
