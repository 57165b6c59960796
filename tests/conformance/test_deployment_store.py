from __future__ import annotations

import pytest
from msgspec.structs import replace

from perdure.kernel.deployments.records import Deployment, Version, VersionQueue
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.deployments import DeploymentConflict, DeploymentStore
from perdure.kernel.persistence.namespaces import NamespaceStore

SHOP = NamespaceId("shop")


def deployment(name: str, version: int = 1, namespace_id: NamespaceId = SHOP) -> Deployment:
    return Deployment(namespace_id, name, 17, version=version)


async def test_a_record_is_found_whole(deployments: DeploymentStore) -> None:
    queues = frozenset({VersionQueue("main", 1), VersionQueue("main", 2)})
    version = Version("b1", 5, queues=queues, metadata={"a": b"\x00\xff"}, ramp_percentage=12.5)
    stored = replace(deployment("orders"), versions={"b1": version}, current="b1", ramping_percentage=0.5)
    await deployments.write(stored)
    assert await deployments.find(SHOP, "orders") == stored
    assert await deployments.find(SHOP, "other") is None
    assert await deployments.find(NamespaceId("bank"), "orders") is None


async def test_a_write_needs_the_version_before_it(deployments: DeploymentStore) -> None:
    await deployments.write(deployment("orders"))
    changed = replace(deployment("orders", 2), current="b1")
    await deployments.write(changed)
    for late in (deployment("orders"), deployment("orders", 2), deployment("orders", 4), deployment("other", 2)):
        with pytest.raises(DeploymentConflict):
            await deployments.write(late)
    assert await deployments.find(SHOP, "orders") == changed


async def test_a_list_is_of_one_namespace_and_by_name(deployments: DeploymentStore) -> None:
    for name in ("c", "a", "B"):
        await deployments.write(deployment(name))
    await deployments.write(deployment("d", namespace_id=NamespaceId("bank")))
    assert [found.name for found in await deployments.list(SHOP)] == ["B", "a", "c"]


async def test_changes_are_told_in_their_order(deployments: DeploymentStore) -> None:
    first, second = deployment("first"), deployment("second", namespace_id=NamespaceId("bank"))
    await deployments.write(first)
    await deployments.write(second)
    revision, changed = await deployments.changed_since(0)
    assert changed == [first, second]
    assert await deployments.changed_since(revision) == (revision, [])
    deleted = replace(deployment("first", 2), deleted_at_ns=9)
    await deployments.write(deleted)
    later, changed = await deployments.changed_since(revision)
    assert later > revision
    assert changed == [deleted]


async def test_what_is_deleted_is_forgotten_after_a_while(deployments: DeploymentStore) -> None:
    for name, deleted_at_ns in (("alive", 0), ("long ago", 5), ("just now", 10)):
        await deployments.write(replace(deployment(name), deleted_at_ns=deleted_at_ns))
    await deployments.forget(NamespaceId("bank"), 100)
    await deployments.forget(SHOP, 10)
    assert [found.name for found in await deployments.list(SHOP)] == ["alive", "just now"]


async def test_they_go_with_their_namespace(deployments: DeploymentStore, namespaces: NamespaceStore) -> None:
    await namespaces.create(Namespace(SHOP, NamespaceName("shop")))
    await deployments.write(deployment("orders"))
    await deployments.write(deployment("orders", namespace_id=NamespaceId("bank")))
    await namespaces.delete(SHOP)
    assert not await deployments.list(SHOP)
    assert len(await deployments.list(NamespaceId("bank"))) == 1
