"""When time is skipped: while nobody has locked it and nobody works, to the next instant at which something happens.

Rules and names are those of the test server that SDKs know. Locks are counted. Tasks count as work from when they are
scheduled until they are done, so an activity takes as long as it takes, whoever waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from perdure.kernel.clock import SECOND_NS, SkippingClock
from perdure.kernel.errors import FailedPrecondition

_log = structlog.get_logger("perdure.time_skipping")

#: Between two looks whether anybody works. Only what two in a row have found is believed: a message may be on its way
#: from one of us to another.
_LOOK_S = 0.004
_STEP_NS = 3600 * SECOND_NS


class TimeSkipping:
    """Skips time on a clock that the event loop goes by. `locks` is how many there are at first."""

    def __init__(
        self,
        clock: SkippingClock,
        is_at_work: Callable[[], bool],
        next_alarm_ns: Callable[[], Awaitable[int | None]],
        locks: int,
    ) -> None:
        self._clock = clock
        self._is_at_work = is_at_work
        self._next_alarm_ns = next_alarm_ns
        self._locks = locks
        self._unlocked = asyncio.Event()
        #: Until when somebody sleeps.
        self._sleepers: list[int] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        if not self._locks:
            self._unlocked.set()
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def now_ns(self) -> int:
        return self._clock.now_ns()

    def lock(self) -> None:
        """Let time go by as it does, until there is an unlock for each lock."""
        self._locks += 1
        self._unlocked.clear()

    def unlock(self) -> None:
        """Take one lock back.

        Raises:
            FailedPrecondition: there is none.
        """
        if not self._locks:
            raise FailedPrecondition("Time skipping is not locked: there was an unlock for each lock already.")
        self._locks -= 1
        if not self._locks:
            self._unlocked.set()

    async def sleep_until(self, instant_ns: int) -> None:
        """Return when it is that late."""
        self._sleepers.append(instant_ns)
        try:
            # In steps, as an event loop cannot wait for as long as somebody may ask for.
            while (left_ns := instant_ns - self._clock.now_ns()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(min(left_ns, _STEP_NS) / SECOND_NS)
        finally:
            self._sleepers.remove(instant_ns)

    async def sleep_unlocked_until(self, instant_ns: int) -> None:
        """The same with one lock less meanwhile.

        Raises:
            FailedPrecondition: there is none.
        """
        self.unlock()
        try:
            await self.sleep_until(instant_ns)
        finally:
            self.lock()

    async def _run(self) -> None:
        quiet = False
        while True:
            await self._unlocked.wait()
            await asyncio.sleep(_LOOK_S)
            try:
                was_quiet, quiet = quiet, not self._is_at_work()
                if was_quiet and quiet and (at_ns := await self._next_ns()) and not self._locks:
                    if at_ns > self._clock.now_ns() and not self._is_at_work():
                        self._clock.skip_to(at_ns)
                    quiet = False
            except Exception:
                # Whatever it is: without this loop every test would hang.
                _log.exception("time was not skipped")

    async def _next_ns(self) -> int | None:
        instants = [*self._sleepers]
        if (alarm_ns := await self._next_alarm_ns()) is not None:
            instants.append(alarm_ns)
        return min(instants, default=None)
