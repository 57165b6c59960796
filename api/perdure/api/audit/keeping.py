"""Keeps the audit log: new records are taken into their chains, old ones are removed when their time has come."""

from __future__ import annotations

import asyncio

import structlog

from perdure.api.audit import chain
from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.namespace import DAY_NS
from perdure.kernel.persistence.executions import StoreError

#: How long a record is in no chain, at most, while the database can be used.
PERIOD_S = 1.0
KEPT_DAYS = 30
_FORGET_EVERY_NS = 600 * SECOND_NS

_log = structlog.get_logger("perdure.api")


class AuditKeeper:
    """`start` and `stop` are each called once. With several processes, each has one."""

    def __init__(self, database: ControlDatabase, clock: Clock, kept_days: int = KEPT_DAYS) -> None:
        self._database = database
        self._clock = clock
        self._kept_ns = kept_days * DAY_NS
        self._forgotten_at_ns = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="audit log")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def keep(self) -> None:
        """Do what there is to do.

        Raises:
            StoreError: the database cannot be used.
        """
        while await chain.seal(self._database):
            pass
        now_ns = self._clock.now_ns()
        if now_ns - self._forgotten_at_ns >= _FORGET_EVERY_NS:
            while await chain.forget(self._database, now_ns - self._kept_ns):
                pass
            self._forgotten_at_ns = now_ns

    async def _run(self) -> None:
        while True:
            try:
                await self.keep()
            except LostRace:
                # Another process is at it.
                pass
            except Exception as error:
                # Whatever it is: without this loop records would stay outside of their chains for ever.
                unexpected = not isinstance(error, StoreError)
                _log.warning("the audit log is not kept", error=str(error), exc_info=unexpected)
            await asyncio.sleep(PERIOD_S)
