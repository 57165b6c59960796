"""Deleted namespaces go for good when nobody has wanted them back for long enough."""

from __future__ import annotations

import asyncio

import structlog

from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.api.data_plane import DataPlane
from perdure.api.resources import kinds
from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceId

PERIOD_S = 60.0
_AT_ONCE = 100

_log = structlog.get_logger("perdure.api")


class DeletedNamespaces:
    """`start` and `stop` are each called once. Each process has one, and they may do the same."""

    def __init__(self, database: ControlDatabase, data_plane: DataPlane, clock: Clock) -> None:
        self._database = database
        self._data_plane = data_plane
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="purging")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    @property
    def background(self) -> list[asyncio.Task[None]]:
        """What runs until `stop`."""
        return [self._task] if self._task else []

    async def _run(self) -> None:
        while True:
            try:
                await self.purge()
            except Exception as error:
                # Whatever it is: it is tried again, for ever.
                _log.warning("deleted namespaces are not purged", error=str(error), exc_info=True)
            await asyncio.sleep(PERIOD_S)

    async def purge(self) -> int:
        """Remove those whose time is up, and say how many those were.

        Raises:
            StoreError: one of the databases cannot be used.
        """
        now_ns, after, count = self._clock.now_ns(), "", 0
        while True:
            async with self._database.reading() as transaction:
                found = await transaction.of_kind(kinds.DELETED_NAMESPACE, after, _AT_ONCE)
            for row in found:
                if row.details["purge_at_ns"] <= now_ns:
                    await self._data_plane.delete(NamespaceId(row.id))
                    count += await self._forget(row.id)
            if len(found) < _AT_ONCE:
                return count
            after = found[-1].id

    async def _forget(self, namespace_id: str) -> bool:
        try:
            async with self._database.writing() as transaction:
                row = await transaction.resource(kinds.DELETED_NAMESPACE, namespace_id)
                if row is not None:
                    await transaction.remove(row)
                return row is not None
        except LostRace:
            return False
