from __future__ import annotations

import msgspec
import pytest

from perdure.frontend.namespaces import Namespaces
from perdure.kernel.errors import NamespaceNotFound
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import DELETED, Namespace
from perdure.kernel.persistence.namespaces import NamespaceConflict
from tests.support.fakes import MemoryNamespaces

NAME = NamespaceName("orders")
RECORD = Namespace(id=NamespaceId("id-1"), name=NAME)


def cache() -> tuple[Namespaces, MemoryNamespaces]:
    store = MemoryNamespaces()
    store.records[RECORD.id] = RECORD
    return Namespaces(store), store


async def test_second_look_does_not_read() -> None:
    namespaces, store = cache()
    assert namespaces.cached(NAME) is None
    await namespaces.by_name(NAME)
    reads = store.reads
    assert await namespaces.by_name(NAME) == RECORD
    assert await namespaces.by_id(RECORD.id) == RECORD
    assert namespaces.cached(NAME) == RECORD
    assert store.reads == reads


async def test_what_others_write_is_learnt() -> None:
    namespaces, _ = cache()
    await namespaces.by_name(NAME)
    renamed = msgspec.structs.replace(RECORD, name=NamespaceName("other"), version=2)
    namespaces.learn(renamed)
    assert namespaces.cached(NAME) is None
    assert namespaces.cached("other") == renamed
    namespaces.learn(msgspec.structs.replace(RECORD, version=1))
    assert namespaces.cached("other") == renamed, "news that comes late is no news"
    assert namespaces.cached(NAME) is None


async def test_a_fresh_look_sees_what_others_wrote() -> None:
    namespaces, store = cache()
    await namespaces.find(NAME)
    written = msgspec.structs.replace(RECORD, description="new", version=1)
    store.records[RECORD.id] = written
    assert await namespaces.find(NAME) == RECORD
    assert await namespaces.find(NAME, fresh=True) == written
    assert namespaces.cached(NAME) == written, "who looks is not told of the past again"
    assert await namespaces.by_id(RECORD.id, fresh=True) == written
    store.records[RECORD.id] = msgspec.structs.replace(written, name=NamespaceName("other"), version=2)
    with pytest.raises(NamespaceNotFound):
        await namespaces.find(NAME, fresh=True)
    assert namespaces.cached(NAME) is None


async def test_others_are_told_of_what_we_write() -> None:
    told: list[str] = []
    namespaces = Namespaces(MemoryNamespaces(), changed=lambda: told.append("changed"))
    await namespaces.create(RECORD)
    await namespaces.update(msgspec.structs.replace(RECORD, version=1))
    assert told == ["changed", "changed"]


async def test_own_updates_show_at_once() -> None:
    namespaces, _ = cache()
    await namespaces.by_name(NAME)
    await namespaces.update(msgspec.structs.replace(RECORD, description="new", version=1))
    assert (namespaces.cached(NAME) or RECORD).description == "new"


async def test_a_renamed_namespace_leaves_its_name() -> None:
    namespaces, _ = cache()
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
    namespaces, store = cache()
    await namespaces.by_name(NAME)
    faster = msgspec.structs.replace(RECORD, description="faster", version=1)
    store.records[RECORD.id] = faster
    with pytest.raises(NamespaceConflict):
        await namespaces.update(msgspec.structs.replace(RECORD, description="slower", version=1))
    assert await namespaces.by_name(NAME) == faster
