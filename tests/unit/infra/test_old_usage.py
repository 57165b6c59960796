from __future__ import annotations

import asyncio

from perdure.infra.old_usage import INTERVAL_S, OldUsage
from perdure.kernel.clock import VirtualClock
from perdure.kernel.metering.actions import KEPT_HOURS
from perdure.kernel.persistence.executions import StoreUnavailable
from perdure.kernel.persistence.usage import HOUR_NS
from tests.support import virtual_time


class Usage:
    """Says how much there is to remove, or fails."""

    def __init__(self, *answers: int | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[int] = []

    async def forget(self, before_hour: int, limit: int) -> int:
        self.asked.append(before_hour)
        answer = self._answers.pop(0) if self._answers else 0
        if isinstance(answer, Exception):
            raise answer
        return min(answer, limit)


def test_what_is_older_than_thirteen_months_is_removed_until_nothing_is_left() -> None:
    clock = VirtualClock()

    async def main() -> None:
        usage = Usage(5000, 5000, StoreUnavailable("away"), 3)
        sweeper = OldUsage(usage, clock)  # type: ignore[arg-type]
        sweeper.start()
        oldest = clock.now_ns() // HOUR_NS - KEPT_HOURS
        await asyncio.sleep(INTERVAL_S + 10)
        assert usage.asked == [oldest + 1] * 3
        await asyncio.sleep(INTERVAL_S)
        assert usage.asked[3:] == [oldest + 2] * 2
        await sweeper.stop()

    virtual_time.run(clock, main())


def test_whatever_goes_wrong_it_goes_on() -> None:
    clock = VirtualClock()

    async def main() -> None:
        usage = Usage(ValueError("a bug"))
        sweeper = OldUsage(usage, clock)  # type: ignore[arg-type]
        sweeper.start()
        await asyncio.sleep(2 * INTERVAL_S + 10)
        assert len(usage.asked) == 2
        await sweeper.stop()

    virtual_time.run(clock, main())


def test_it_may_be_stopped_before_it_was_started() -> None:
    asyncio.run(OldUsage(Usage(), VirtualClock()).stop())  # type: ignore[arg-type]
