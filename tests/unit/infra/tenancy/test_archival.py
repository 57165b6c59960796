"""Archival belongs to the data plane: what the control plane wishes of a namespace does not change it."""

from __future__ import annotations

from msgspec.structs import replace

from perdure.frontend.namespaces import Namespaces
from perdure.frontend.nexus_endpoints import NexusEndpoints
from perdure.infra.sqlite import SqliteDatabase, SqliteNexusEndpointStore
from perdure.infra.tenancy.data_plane import TenantRecords
from perdure.kernel.clock import SystemClock
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DAY_NS, Archival, Namespace
from tests.support.fakes import MemoryNamespaces

WISH = Namespace(id=NamespaceId("id"), name=NamespaceName("orders.acct"), account_id="acct", wish=1)


async def test_new_namespaces_are_archived_as_the_installation_says_and_stay_so() -> None:
    archival = Archival(enabled=True, uri="file:///archive")
    namespaces = Namespaces(MemoryNamespaces())
    endpoints = NexusEndpoints(SqliteNexusEndpointStore(SqliteDatabase.open(None)), SystemClock())
    records = TenantRecords(namespaces, endpoints, archival)
    await records.put(WISH)
    made = await namespaces.find(WISH.name)
    assert (made.history_archival, made.visibility_archival) == (archival, archival)
    await namespaces.update(replace(made, visibility_archival=Archival(uri=archival.uri), version=made.version + 1))
    await records.put(replace(WISH, retention_ns=5 * DAY_NS, wish=2))
    changed = await namespaces.find(WISH.name)
    assert changed.retention_ns == 5 * DAY_NS
    assert (changed.history_archival, changed.visibility_archival) == (archival, Archival(uri=archival.uri))
