"""When time is skipped, in virtual time: the machine's own clock is one that the test moves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from temporalio.api.testservice.v1.request_response_pb2 import (
    SleepRequest,
    SleepUntilRequest,
    UnlockTimeSkippingRequest,
)

from perdure.infra.time_skipping.service import TEST_SERVICE, TestMethods, service
from perdure.infra.time_skipping.skipping import TimeSkipping
from perdure.kernel.clock import SECOND_NS, SkippingClock, VirtualClock
from perdure.kernel.errors import FailedPrecondition, InvalidArgument
from tests.support.virtual_time import run

DAY_S = 86_400


class World:
    def __init__(self, clock: VirtualClock, locks: int) -> None:
        self.machine = clock
        self.clock = SkippingClock(clock)
        self.working = False
        self.alarm_s: int | None = None
        self._began_ns = clock.now_ns()
        self.skipping = TimeSkipping(self.clock, lambda: self.working, self._alarm, locks)
        self.skipping.start()

    async def _alarm(self) -> int | None:
        return None if self.alarm_s is None else self._began_ns + self.alarm_s * SECOND_NS

    @property
    def skipped_s(self) -> float:
        return self.clock.skipped_ns / SECOND_NS


def scenario(main: Callable[[World], Coroutine[Any, Any, None]], locks: int = 1) -> None:
    async def whole() -> None:
        world = World(clock, locks)
        await main(world)
        await world.skipping.stop()

    clock = VirtualClock()
    run(clock, whole())


def test_time_is_skipped_to_the_next_alarm_while_it_is_not_locked() -> None:
    async def main(world: World) -> None:
        world.alarm_s = DAY_S
        await asyncio.sleep(1)
        assert world.skipped_s == 0, "locked"
        world.skipping.lock()
        world.skipping.unlock()
        await asyncio.sleep(1)
        assert world.skipped_s == 0, "locked twice"
        world.skipping.unlock()
        await asyncio.sleep(1)
        assert DAY_S - 3 < world.skipped_s < DAY_S
        world.skipping.lock()
        world.alarm_s = 2 * DAY_S
        await asyncio.sleep(1)
        assert world.skipped_s < DAY_S

    scenario(main)


def test_time_is_not_skipped_while_somebody_works_or_nothing_is_to_come() -> None:
    async def main(world: World) -> None:
        await asyncio.sleep(1)
        world.working, world.alarm_s = True, DAY_S
        await asyncio.sleep(1)
        assert world.skipped_s == 0
        world.working = False
        await asyncio.sleep(1)
        assert world.skipped_s > DAY_S - 4

    scenario(main, locks=0)


def test_an_unlock_needs_a_lock() -> None:
    async def main(world: World) -> None:
        methods = TestMethods(world.skipping)
        await methods.unlock_time_skipping(UnlockTimeSkippingRequest())
        for refused in (
            methods.unlock_time_skipping(UnlockTimeSkippingRequest()),
            methods.unlock_time_skipping_with_sleep(SleepRequest()),
        ):
            with pytest.raises(FailedPrecondition):
                await refused

    scenario(main)


def test_bad_requests_are_refused() -> None:
    async def main(world: World) -> None:
        methods = TestMethods(world.skipping)
        negative = SleepRequest()
        negative.duration.seconds = -1
        bad_time = SleepUntilRequest()
        bad_time.timestamp.nanos = -1
        for refused in (
            methods.sleep(negative),
            methods.unlock_time_skipping_with_sleep(negative),
            methods.sleep_until(SleepUntilRequest()),
            methods.sleep_until(bad_time),
        ):
            with pytest.raises(InvalidArgument):
                await refused
        with pytest.raises(FailedPrecondition):
            for _ in range(2):
                world.skipping.unlock()

    scenario(main)


def test_the_service_has_all_methods() -> None:
    async def main(world: World) -> None:
        assert service(world.skipping).methods.keys() == {method.name for method in TEST_SERVICE.methods}

    scenario(main)
