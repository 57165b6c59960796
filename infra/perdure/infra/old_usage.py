"""Removes usage that is too old to be asked about, a little at a time."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from perdure.kernel.clock import Clock
from perdure.kernel.metering.actions import KEPT_HOURS
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.usage import HOUR_NS, UsageStore

logger = structlog.get_logger(__name__)

#: How often one looks, in seconds. Any number of processes may.
INTERVAL_S = 3600.0
#: Rows of each sort that one transaction removes, and for how long others have their turns in between.
ROWS_MAX = 1000
PAUSE_S = 1.0


class OldUsage:
    """`start` and `stop` are each called once; `stop` also if it was never started."""

    def __init__(self, usage: UsageStore, clock: Clock) -> None:
        self._usage = usage
        self._clock = clock
        self._sweeping: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep())

    async def stop(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    async def _sweep(self) -> None:
        pause_s = INTERVAL_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = INTERVAL_S
            try:
                if await self._usage.forget(self._clock.now_ns() // HOUR_NS - KEPT_HOURS, ROWS_MAX):
                    pause_s = PAUSE_S
            except StoreError as error:
                logger.warning("old usage could not be removed, trying again later", error=str(error))
            except Exception:
                # Whatever it is, it must not be the end of this for the life of the process.
                logger.exception("old usage could not be removed, trying again later")
