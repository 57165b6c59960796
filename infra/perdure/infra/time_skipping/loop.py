"""An event loop whose timers follow a clock that skips."""

from __future__ import annotations

import asyncio

from perdure.kernel.clock import SECOND_NS, SkippingClock


class SkippingLoop(asyncio.SelectorEventLoop):
    """What waits for an instant, waits for it on this clock: after a skip, all is due that would be by then."""

    def __init__(self, clock: SkippingClock) -> None:
        super().__init__()
        self._clock = clock

    def time(self) -> float:
        return super().time() + self._clock.skipped_ns / SECOND_NS
