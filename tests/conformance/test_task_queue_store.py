from __future__ import annotations

import pytest

from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.namespaces import NamespaceStore
from perdure.kernel.persistence.task_queues import (
    ConfigurationConflict,
    ConfigurationRecord,
    ConfiguredQueue,
    TaskQueueStore,
)

SHOP = NamespaceId("shop")


def record(name: str, version: int = 1, config: bytes = b"\0\xff", kind: int = 2) -> ConfigurationRecord:
    return ConfigurationRecord(ConfiguredQueue(SHOP, name, kind), version, config)


async def test_a_configuration_is_found_by_queue_and_kind(task_queues: TaskQueueStore) -> None:
    stored = record("any\0näme")
    await task_queues.write(stored)
    assert await task_queues.read(stored.queue) == stored
    assert await task_queues.read(stored.queue._replace(kind=1)) is None
    assert await task_queues.read(stored.queue._replace(namespace_id=NamespaceId("bank"))) is None


async def test_versions_only_rise_one_by_one(task_queues: TaskQueueStore) -> None:
    with pytest.raises(ConfigurationConflict):
        await task_queues.write(record("q", 2))
    await task_queues.write(record("q", 1, b"first"))
    for version in (1, 3):
        with pytest.raises(ConfigurationConflict):
            await task_queues.write(record("q", version, b"other"))
    await task_queues.write(record("q", 2, b"second"))
    assert await task_queues.read(record("q").queue) == record("q", 2, b"second")


async def test_changes_are_told_in_their_order(task_queues: TaskQueueStore) -> None:
    assert (await task_queues.changed_since(0))[1] == []
    await task_queues.write(record("a"))
    await task_queues.write(record("b"))
    revision, changed = await task_queues.changed_since(0)
    assert changed == [record("a"), record("b")]
    assert await task_queues.changed_since(revision) == (revision, [])
    await task_queues.write(record("a", 2))
    with pytest.raises(ConfigurationConflict):
        await task_queues.write(record("b", 7))
    later, changed = await task_queues.changed_since(revision)
    assert later > revision
    assert changed == [record("a", 2)]
    assert (await task_queues.changed_since(0))[1] == [record("b"), record("a", 2)]


async def test_configurations_go_with_their_namespace(task_queues: TaskQueueStore, namespaces: NamespaceStore) -> None:
    await namespaces.create(Namespace(SHOP, NamespaceName("shop")))
    await task_queues.write(record("a"))
    await namespaces.delete(NamespaceId("bank"))
    assert await task_queues.read(record("a").queue)
    await namespaces.delete(SHOP)
    assert await task_queues.read(record("a").queue) is None
