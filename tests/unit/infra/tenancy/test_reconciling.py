"""The data plane follows the control plane: after a restore of one of them, and whoever comes too late."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from perdure.api.data_plane import Outdated
from perdure.api.resources.kinds import NAMESPACE
from perdure.api.resources.namespace_steps import wanted
from perdure.infra.tenancy.reconciling import reconcile
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import DAY_NS, DEPRECATED, Namespace
from perdure.kernel.nexus import NexusEndpoint
from tests.support.control_plane import ControlBench, Owner, control_bench

SPEC = {"name": "orders", "retentionDays": 2, "apiKeyAuth": {"enabled": True}}


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ControlBench]:
    async with control_bench(f"sqlite:///{tmp_path / 'control-plane.db'}") as running:
        yield running


@pytest.fixture
async def owner(bench: ControlBench) -> Owner:
    return await bench.account()


async def _make(bench: ControlBench, owner: Owner) -> Namespace:
    made = await bench.done(owner.token, "CreateNamespace", {"spec": SPEC})
    return await _stored(bench, made.namespace)


async def _stored(bench: ControlBench, name: str) -> Namespace:
    found = await bench.namespaces.by_name(NamespaceName(name))
    assert found is not None
    return found


async def _keep(bench: ControlBench, owner: Owner, name: str, days: int) -> None:
    found = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace
    request = {"namespace": name, "spec": {**SPEC, "retentionDays": days}, "resourceVersion": found.resource_version}
    await bench.done(owner.token, "UpdateNamespace", request)


async def test_what_the_data_plane_has_lost_it_gets_again(bench: ControlBench, owner: Owner) -> None:
    made = await _make(bench, owner)
    await bench.namespaces.delete(made.id)
    done = await reconcile(bench.database, bench.data_plane)
    assert (done.known, done.impossible) == ({made.id}, ())
    assert await _stored(bench, made.name) == made


async def test_what_it_has_otherwise_it_gets_as_it_was_wished(bench: ControlBench, owner: Owner) -> None:
    made = await _make(bench, owner)
    await _keep(bench, owner, made.name, 5)
    # As if the control plane's database was of before that: the data plane has a later wish.
    async with bench.database.writing() as transaction:
        row = await transaction.resource(NAMESPACE, made.name)
        assert row is not None
        later, row.version = row.version, made.wish
    with pytest.raises(Outdated):
        await bench.data_plane.put(wanted(row))
    await bench.data_plane.put(wanted(row), overrule=True)
    assert (await _stored(bench, made.name)).wish == made.wish < later
    # From then on changes take effect again.
    await reconcile(bench.database, bench.data_plane)
    await _keep(bench, owner, made.name, 7)
    assert (await _stored(bench, made.name)).retention_ns == 7 * DAY_NS


async def test_a_deleted_namespace_gives_its_name_back(bench: ControlBench, owner: Owner) -> None:
    made = await _make(bench, owner)
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": made.name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": made.name, "resourceVersion": version})
    # As if the data plane's databases were of before that.
    await bench.namespaces.delete(made.id)
    await bench.namespaces.create(made)
    bench.forget()
    await reconcile(bench.database, bench.data_plane)
    assert await bench.namespaces.by_name(made.name) is None
    left = await bench.namespaces.by_id(made.id)
    assert left is not None
    assert left.state == DEPRECATED
    again = await _make(bench, owner)
    assert again.id != made.id


async def test_whose_name_another_namespace_has_is_told(bench: ControlBench, owner: Owner) -> None:
    made = await _make(bench, owner)
    await bench.namespaces.delete(made.id)
    bench.forget()
    other = Namespace(id=type(made.id)("other"), name=made.name)
    await bench.namespaces.create(other)
    done = await reconcile(bench.database, bench.data_plane)
    assert done.impossible == (made.name,)
    assert await _stored(bench, made.name) == other


async def test_who_was_suspended_in_the_midst_of_an_operation_comes_too_late(bench: ControlBench, owner: Owner) -> None:
    made = await _make(bench, owner)
    async with bench.database.reading() as transaction:
        row = await transaction.resource(NAMESPACE, made.name)
    assert row is not None
    zombie = wanted(row)
    await _keep(bench, owner, made.name, 5)
    changed = await _stored(bench, made.name)
    with pytest.raises(Outdated):
        await bench.data_plane.put(zombie)
    assert await _stored(bench, made.name) == changed
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": made.name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": made.name, "resourceVersion": version})
    for late in (zombie, changed):
        with pytest.raises(Outdated):
            await bench.data_plane.put(late)
    assert await bench.namespaces.by_name(made.name) is None


async def _endpoint(bench: ControlBench, owner: Owner) -> NexusEndpoint:
    namespace = (await bench.done(owner.token, "CreateNamespace", {"spec": SPEC})).namespace
    target = {"workerTargetSpec": {"namespaceId": namespace, "taskQueue": "payments"}}
    made = await bench.done(owner.token, "CreateNexusEndpoint", {"spec": {"name": "pay", "targetSpec": target}})
    found = await bench.endpoints.store.by_id(made.endpoint_id)
    assert found is not None
    return found


async def test_an_endpoint_that_the_data_plane_has_lost_or_has_otherwise(bench: ControlBench, owner: Owner) -> None:
    made = await _endpoint(bench, owner)
    await bench.endpoints.store.delete(made.id)
    done = await reconcile(bench.database, bench.data_plane)
    assert (done.endpoints, done.impossible) == (1, ())
    assert await bench.endpoints.store.by_id(made.id) == made
    # As if the control plane's database was of before a change.
    changed = msgspec.structs.replace(made, task_queue="other", wish=made.wish + 5, version=made.version + 1)
    await bench.endpoints.store.update(changed)
    await bench.data_plane.put_endpoint(made)
    assert await bench.endpoints.store.by_id(made.id) == changed
    await reconcile(bench.database, bench.data_plane)
    assert await bench.endpoints.store.by_id(made.id) == msgspec.structs.replace(made, version=made.version + 2)
    await reconcile(bench.database, bench.data_plane)
    again = await bench.endpoints.store.by_id(made.id)
    assert again is not None and again.version == made.version + 2


async def test_an_endpoint_that_the_control_plane_does_not_know(bench: ControlBench, owner: Owner) -> None:
    made = await _endpoint(bench, owner)
    # One that was deleted since, and had the name before.
    await bench.endpoints.store.delete(made.id)
    await bench.endpoints.store.create(msgspec.structs.replace(made, id="before"))
    done = await reconcile(bench.database, bench.data_plane)
    assert done.impossible == ()
    assert [each.id for each in await bench.data_plane.endpoints_of(made.account_id)] == [made.id]
