"""Deleted namespaces go for good when nobody has wanted them back for long enough."""

from __future__ import annotations

from perdure.api.data import ControlDatabase
from perdure.api.data.database import LostRace
from perdure.api.data_plane import DataPlane
from perdure.api.resources import kinds
from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceId

PERIOD_S = 60.0
_AT_ONCE = 100


class DeletedNamespaces:
    """Those that can still be had back."""

    def __init__(self, database: ControlDatabase, data_plane: DataPlane, clock: Clock) -> None:
        self._database = database
        self._data_plane = data_plane
        self._clock = clock

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
