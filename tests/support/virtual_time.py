"""An asyncio event loop whose time jumps to the next timer as soon as nothing else is left to do."""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

from perdure.kernel.clock import SECOND_NS, VirtualClock

T = TypeVar("T")


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of waiting for the next timer, moves the clock there."""

    clock: VirtualClock

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            raise RuntimeError("deadlock: nothing is left that could wake anybody up")
        # Rounded up, as a timer must be due when the loop looks next.
        self.clock.advance(max(math.ceil(timeout * SECOND_NS), 0))
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its time is that of `clock`, counted from the loop's creation."""

    def __init__(self, clock: VirtualClock) -> None:
        selector = _JumpingSelector()
        selector.clock = clock
        super().__init__(selector)
        self._clock = clock
        # Relative, since a float of seconds since 1970 is too coarse to tell adjacent timers apart.
        self._start_ns = clock.now_ns()

    def time(self) -> float:
        return (self._clock.now_ns() - self._start_ns) / SECOND_NS


def run(clock: VirtualClock, main: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in no time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(main)
