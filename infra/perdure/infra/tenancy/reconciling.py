"""The data plane gets what it has lost, or has otherwise, after one of the two databases was restored."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from perdure.api.data import ControlDatabase
from perdure.api.data.tables import ResourceRow
from perdure.api.data_plane import NameTaken, TenantFollower
from perdure.api.resources import nexus_steps
from perdure.api.resources.kinds import ACCOUNT, DELETED_NAMESPACE, NAMESPACE, NEXUS_ENDPOINT
from perdure.api.resources.namespace_steps import deleted_name, wanted
from perdure.api.resources.rows import ACTIVE
from perdure.kernel.ids import NamespaceId
from perdure.kernel.namespace import DEPRECATED
from perdure.kernel.persistence.namespaces import NamespaceConflict
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointConflict

_AT_ONCE = 100
_TRIES_MAX = 10


class Reconciled(NamedTuple):
    """The ids of all namespaces that the control plane knows of, how many Nexus endpoints it has, and the names of
    those of both that the data plane cannot have since another one is called so.
    """

    known: frozenset[NamespaceId]
    endpoints: int
    impossible: tuple[str, ...]


async def reconcile(database: ControlDatabase, data_plane: TenantFollower) -> Reconciled:
    """Let the data plane have the namespaces and Nexus endpoints of all accounts as the control plane wishes them. Of a
    namespace that the control plane does not know it keeps what was in it; of an endpoint there is nothing to keep.

    May be repeated, and done while both are in use: what an operation is about is left to it.

    Raises:
        StoreError: one of the databases cannot be used.
    """
    known, impossible, endpoints = set(), [], 0
    # Those first that give names back.
    for kind in (DELETED_NAMESPACE, NAMESPACE):
        async for row in _all_of(database, kind):
            known.add(NamespaceId(row.details["namespace_id"]))
            if not await _follow(database, data_plane, row):
                impossible.append(row.id)
    async for account in _all_of(database, ACCOUNT):
        await _remove_unknown(database, data_plane, account.id)
    async for row in _all_of(database, NEXUS_ENDPOINT):
        endpoints += 1
        if not await _follow(database, data_plane, row):
            impossible.append(f"{row.name} of {row.account_id}")
    return Reconciled(frozenset(known), endpoints, tuple(impossible))


async def _remove_unknown(database: ControlDatabase, data_plane: TenantFollower, account_id: str) -> None:
    # The control plane has an endpoint before the data plane has it, and longer: so it is asked second.
    for endpoint in await data_plane.endpoints_of(account_id):
        async with database.reading() as transaction:
            known = await transaction.resource(NEXUS_ENDPOINT, endpoint.id)
        if known is None:
            await data_plane.delete_endpoint(endpoint.id)


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


async def _follow(database: ControlDatabase, data_plane: TenantFollower, row: ResourceRow) -> bool:
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
        except (NamespaceConflict, NexusEndpointConflict):
            continue
        async with database.reading() as transaction:
            current = await transaction.resource(row.kind, row.id)
        # If somebody has changed it meanwhile, what we have told may have come after what he has.
        if current is not None and (current.version, current.state) == (row.version, row.state):
            return True
    return False


async def _tell(data_plane: TenantFollower, row: ResourceRow) -> None:
    if row.kind == DELETED_NAMESPACE:
        namespace_id = NamespaceId(row.id)
        name = deleted_name(row.details["name"], namespace_id)
        await data_plane.rename(namespace_id, name, DEPRECATED, row.version, overrule=True)
    elif row.state != ACTIVE:
        return
    elif row.kind == NEXUS_ENDPOINT:
        await data_plane.put_endpoint(nexus_steps.wanted(row), overrule=True)
    else:
        await data_plane.put(wanted(row), overrule=True)
