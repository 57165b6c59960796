"""Time as a dependency. All durations and instants of the engine are whole nanoseconds since the Unix epoch, UTC."""

from __future__ import annotations

import time
from typing import Protocol

SECOND_NS = 1_000_000_000
MILLISECOND_NS = 1_000_000


class Clock(Protocol):
    """Reads the time. Nothing else in Perdure may."""

    def now_ns(self) -> int:
        """The current instant in nanoseconds since the Unix epoch."""
        ...


class SystemClock:
    """The machine's wall clock."""

    def now_ns(self) -> int:
        return time.time_ns()  # noqa: TID251  the one place


class SkippingClock:
    """A clock that goes on as another does, and leaves out what it is told to; never goes backwards by that."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skipped_ns = 0

    @property
    def skipped_ns(self) -> int:
        """How much was left out so far."""
        return self._skipped_ns

    def now_ns(self) -> int:
        return self._clock.now_ns() + self._skipped_ns

    def skip_to(self, instant_ns: int) -> None:
        self._skipped_ns += max(instant_ns - self.now_ns(), 0)


class VirtualClock:
    """A clock that stands still until it is told to move; never moves backwards."""

    def __init__(self, start_ns: int = 1_700_000_000 * SECOND_NS) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance_to(self, instant_ns: int) -> None:
        self._now_ns = max(self._now_ns, instant_ns)

    def advance(self, duration_ns: int) -> None:
        self._now_ns += duration_ns
