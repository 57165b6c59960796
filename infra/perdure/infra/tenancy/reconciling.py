"""The data plane gets what it has lost, or has otherwise, after one of the two databases was restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from perdure.api.data import ControlDatabase
from perdure.api.data.tables import ResourceRow
from perdure.api.data_plane import NamespaceFollower, NameTaken
from perdure.api.resources.kinds import DELETED_NAMESPACE, NAMESPACE
from perdure.api.resources.namespace_steps import deleted_name, wanted
from perdure.api.resources.rows import ACTIVE
from perdure.kernel.ids import NamespaceId
from perdure.kernel.namespace import DEPRECATED
from perdure.kernel.persistence.namespaces import NamespaceConflict

_AT_ONCE = 100
_TRIES_MAX = 10


class Reconciled(NamedTuple):
    """The ids of all namespaces that the control plane knows of, and the names of those that the data plane cannot have
    since another one is called so.
    """

    known: frozenset[NamespaceId]
    impossible: tuple[str, ...]


async def reconcile(database: ControlDatabase, data_plane: NamespaceFollower) -> Reconciled:
    """Let the data plane have the namespaces of all accounts as the control plane wishes them.

    May be repeated, and done while both are in use: what an operation is about is left to it.

    Raises:
        StoreError: one of the databases cannot be used.
    """
    known, impossible = set(), []
    # Those first that give names back.
    for kind in (DELETED_NAMESPACE, NAMESPACE):
        async for row in _all_of(database, kind):
            known.add(NamespaceId(row.details["namespace_id"]))
            if not await _follow(database, data_plane, row):
                impossible.append(row.id)
    return Reconciled(frozenset(known), tuple(impossible))


async def _all_of(database: ControlDatabase, kind: str) -> AsyncIterator[ResourceRow]:
    after = ""
    while True:
        async with database.reading() as transaction:
            found = await transaction.of_kind(kind, after, _AT_ONCE)
        for row in found:
            yield row
        if len(found) < _AT_ONCE:
            return
        after = found[-1].id


async def _follow(database: ControlDatabase, data_plane: NamespaceFollower, row: ResourceRow) -> bool:
    """Whether the data plane has it now as it should."""
    current: ResourceRow | None = row
    for _ in range(_TRIES_MAX):
        if current is None:
            return True
        row = current
        try:
            await _tell(data_plane, row)
        except NameTaken:
            return False
        except NamespaceConflict:
            continue
        async with database.reading() as transaction:
            current = await transaction.resource(row.kind, row.id)
        # If somebody has changed it meanwhile, what we have told may have come after what he has.
        if current is not None and (current.version, current.state) == (row.version, row.state):
            return True
    return False


async def _tell(data_plane: NamespaceFollower, row: ResourceRow) -> None:
    if row.kind == DELETED_NAMESPACE:
        namespace_id = NamespaceId(row.id)
        name = deleted_name(row.details["name"], namespace_id)
        await data_plane.rename(namespace_id, name, DEPRECATED, row.version, overrule=True)
    elif row.state == ACTIVE:
        await data_plane.put(wanted(row), overrule=True)
