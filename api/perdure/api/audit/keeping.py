"""Keeps the audit log: new records are taken into their chains, old ones are removed when their time has come."""

from __future__ import annotations

from perdure.api.audit import chain
from perdure.api.data import ControlDatabase
from perdure.kernel.clock import SECOND_NS, Clock
from perdure.kernel.namespace import DAY_NS

#: How long a record is in no chain, at most, while the database can be used.
PERIOD_S = 1.0
KEPT_DAYS = 30
_FORGET_EVERY_NS = 600 * SECOND_NS


class AuditKeeper:
    """Of the logs of all accounts."""

    def __init__(self, database: ControlDatabase, clock: Clock, kept_days: int = KEPT_DAYS) -> None:
        self._database = database
        self._clock = clock
        self._kept_ns = kept_days * DAY_NS
        self._forgotten_at_ns = 0

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
