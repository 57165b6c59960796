"""Deleted namespaces go for good when nobody has wanted them back for long enough. Whose usage it was is known as long
as the usage is.
"""

from __future__ import annotations

from temporalio.api.cloud.namespace.v1 import NamespaceSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.data import ControlDatabase, Transaction
from perdure.api.data.database import LostRace
from perdure.api.data.tables import ResourceRow
from perdure.api.data_plane import DataPlane
from perdure.api.resources import kinds
from perdure.api.resources.rows import spec_of
from perdure.kernel.clock import Clock
from perdure.kernel.ids import NamespaceId
from perdure.kernel.metering.actions import KEPT_HOURS
from perdure.kernel.persistence.usage import HOUR_NS

PERIOD_S = 60.0
#: How often those are forgotten of which nothing is left.
FORGETTING_S = 3600.0
DELETED = int(ResourceState.RESOURCE_STATE_DELETED)
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

    async def forget(self) -> int:
        """Forget namespaces of long ago whose usage is forgotten too, and say how many those were.

        Raises:
            StoreError: the control plane's database cannot be used.
        """
        since_ns = self._clock.now_ns() - KEPT_HOURS * HOUR_NS
        return await self._database.write(lambda transaction: _forget_past(transaction, since_ns))

    async def _forget(self, namespace_id: str) -> bool:
        try:
            async with self._database.writing() as transaction:
                row = await transaction.resource(kinds.DELETED_NAMESPACE, namespace_id)
                if row is not None:
                    transaction.add(_past(row, self._clock.now_ns()))
                    await transaction.remove(row)
                return row is not None
        except LostRace:
            return False


def _past(row: ResourceRow, now_ns: int) -> ResourceRow:
    """What reports say of a namespace: its names, tags and region."""
    spec = NamespaceSpec(name=row.details["name"], replicas=spec_of(row, NamespaceSpec).replicas)
    return ResourceRow(
        kind=kinds.PAST_NAMESPACE,
        id=row.id,
        account_id=row.account_id,
        name=row.name,
        owner_id="",
        spec=spec.SerializeToString(),
        details={each: row.details[each] for each in ("namespace_id", "name", "tags")},
        version=row.version + 1,
        state=row.state,
        operation_id="",
        created_at_ns=row.created_at_ns,
        modified_at_ns=now_ns,
    )


async def _forget_past(transaction: Transaction, since_ns: int) -> int:
    found = await transaction.ended(kinds.PAST_NAMESPACE, DELETED, since_ns, _AT_ONCE)
    for row in found:
        await transaction.remove(row)
    return len(found)
