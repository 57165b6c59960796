from __future__ import annotations

import msgspec
import pytest

from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.namespaces import NamespaceConflict, NamespaceStore


def namespace(name: str, /, **fields: object) -> Namespace:
    return msgspec.structs.replace(Namespace(NamespaceId(f"id of {name}"), NamespaceName(name)), **fields)


async def test_a_namespace_is_found_by_id_and_name(namespaces: NamespaceStore) -> None:
    stored = namespace("shop", search_attributes={"Customer": 2}, bad_binaries={"sum": b"\x00\xff"}, data={"a": "b"})
    await namespaces.create(stored)
    assert await namespaces.by_id(stored.id) == stored
    assert await namespaces.by_name(stored.name) == stored
    assert await namespaces.by_name(NamespaceName("other")) is None


async def test_names_and_ids_are_taken_once(namespaces: NamespaceStore) -> None:
    await namespaces.create(namespace("shop"))
    for twin in (namespace("shop", id=NamespaceId("another")), namespace("other", id=namespace("shop").id)):
        with pytest.raises(NamespaceConflict):
            await namespaces.create(twin)


async def test_an_update_needs_the_version_before_it(namespaces: NamespaceStore) -> None:
    await namespaces.create(namespace("shop"))
    changed = namespace("shop", version=1, description="changed")
    await namespaces.update(changed)
    with pytest.raises(NamespaceConflict):
        await namespaces.update(namespace("shop", version=1, description="too late"))
    assert await namespaces.by_name(changed.name) == changed


async def test_an_update_may_rename_but_not_onto_another(namespaces: NamespaceStore) -> None:
    await namespaces.create(namespace("shop"))
    await namespaces.create(namespace("bank"))
    renamed = namespace("shop", name=NamespaceName("market"), version=1)
    await namespaces.update(renamed)
    assert await namespaces.by_name(NamespaceName("market")) == renamed
    assert await namespaces.by_name(NamespaceName("shop")) is None
    with pytest.raises(NamespaceConflict):
        await namespaces.update(msgspec.structs.replace(renamed, name=NamespaceName("bank"), version=2))


async def test_listing_is_by_name_and_by_page(namespaces: NamespaceStore) -> None:
    for name in ("c", "a", "b"):
        await namespaces.create(namespace(name))
    await namespaces.delete(namespace("b").id)
    assert [found.name for found in await namespaces.list(None, 1)] == ["a"]
    assert [found.name for found in await namespaces.list(NamespaceName("a"), 10)] == ["c"]


async def test_changes_are_told_in_their_order(namespaces: NamespaceStore) -> None:
    first, second = namespace("first"), namespace("second")
    await namespaces.create(first)
    await namespaces.create(second)
    revision, changed = await namespaces.changed_since(0)
    assert changed == [first, second]
    assert await namespaces.changed_since(revision) == (revision, [])
    assert await namespaces.revision() == revision

    renamed = namespace("first", name=NamespaceName("other"), version=1)
    await namespaces.update(renamed)
    later, changed = await namespaces.changed_since(revision)
    assert later > revision
    assert changed == [renamed]
    await namespaces.delete(second.id)
    assert (await namespaces.changed_since(0))[1] == [renamed]
