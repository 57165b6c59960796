"""What arrives with a call between processes."""

from __future__ import annotations

import msgspec

from perdure.frontend.namespaces import Namespaces
from perdure.infra.cluster.wire import Calls, metadata_of
from perdure.kernel.call import Call
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.runtime import Runtime
from perdure.kernel.transport import IncomingCall
from tests.support.fakes import MemoryNamespaces

OLD = Namespace(id=NamespaceId("id-1"), name=NamespaceName("orders"))
NEW = msgspec.structs.replace(OLD, search_attributes={"Customer": 2}, version=1)


async def test_the_namespace_is_as_new_as_the_callers() -> None:
    store = MemoryNamespaces()
    store.records[OLD.id] = OLD
    namespaces = Namespaces(store)
    calls = Calls(namespaces, Runtime().clock)
    assert (await calls.received(IncomingCall(metadata=metadata_of(Call(OLD))))).namespace == OLD
    # Somebody has added a search attribute, and the news is not here yet.
    store.records[OLD.id] = NEW
    assert (await calls.received(IncomingCall(metadata=metadata_of(Call(OLD))))).namespace == OLD
    reads = store.reads
    for _ in range(2):
        assert (await calls.received(IncomingCall(metadata=metadata_of(Call(NEW))))).namespace == NEW
    assert store.reads == reads + 1
