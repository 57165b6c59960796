from __future__ import annotations

import msgspec
import pytest

from perdure.frontend.namespaces import Namespaces
from perdure.kernel.clock import SECOND_NS, VirtualClock
from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DELETED, Namespace
from perdure.kernel.persistence.namespaces import NamespaceConflict
from tests.support.fakes import MemoryNamespaces

NAME = NamespaceName("orders")
RECORD = Namespace(id=NamespaceId("id-1"), name=NAME)


def cache(max_age_ns: int | None = None) -> tuple[Namespaces, MemoryNamespaces, VirtualClock]:
    store, clock = MemoryNamespaces(), VirtualClock()
    store.records[RECORD.id] = RECORD
    return Namespaces(store, clock, max_age_ns), store, clock


async def test_second_look_does_not_read() -> None:
    namespaces, store, _ = cache()
    assert namespaces.cached(NAME) is None
    await namespaces.by_name(NAME)
    reads = store.reads
    assert await namespaces.by_name(NAME) == RECORD
    assert await namespaces.by_id(RECORD.id) == RECORD
    assert namespaces.cached(NAME) == RECORD
    assert store.reads == reads


async def test_entries_age_when_others_write_too() -> None:
    namespaces, store, clock = cache(max_age_ns=SECOND_NS)
    await namespaces.by_name(NAME)
    store.records[RECORD.id] = msgspec.structs.replace(RECORD, description="new", version=1)
    assert (await namespaces.by_name(NAME)).description == ""
    clock.advance(SECOND_NS + 1)
    assert namespaces.cached(NAME) is None
    assert (await namespaces.by_name(NAME)).description == "new"


async def test_own_updates_show_at_once() -> None:
    namespaces, _, _ = cache()
    await namespaces.by_name(NAME)
    await namespaces.update(msgspec.structs.replace(RECORD, description="new", version=1))
    assert (namespaces.cached(NAME) or RECORD).description == "new"


async def test_a_renamed_namespace_leaves_its_name() -> None:
    namespaces, _, _ = cache()
    await namespaces.by_name(NAME)
    gone = msgspec.structs.replace(RECORD, name=NamespaceName("gone"), state=DELETED, version=1)
    await namespaces.update(gone, previous_name=NAME)
    with pytest.raises(NamespaceNotFound):
        await namespaces.by_name(NAME)
    with pytest.raises(NamespaceNotFound):
        await namespaces.by_name(gone.name)
    assert await namespaces.find(gone.name) == gone
    assert await namespaces.by_id(RECORD.id) == gone


async def test_a_lost_race_forgets_what_was_cached() -> None:
    namespaces, store, _ = cache()
    await namespaces.by_name(NAME)
    faster = msgspec.structs.replace(RECORD, description="faster", version=1)
    store.records[RECORD.id] = faster
    with pytest.raises(NamespaceConflict):
        await namespaces.update(msgspec.structs.replace(RECORD, description="slower", version=1))
    assert await namespaces.by_name(NAME) == faster
