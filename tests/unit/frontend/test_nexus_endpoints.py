from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.operatorservice.v1 import (
    CreateNexusEndpointRequest,
    DeleteNamespaceRequest,
    DeleteNexusEndpointRequest,
    GetNexusEndpointRequest,
    ListNexusEndpointsRequest,
    UpdateNexusEndpointRequest,
)

from perdure.frontend.handlers.deletion import NamespaceDeletion
from perdure.frontend.handlers.nexus_endpoints import NexusEndpointHandlers
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Unimplemented
from tests.support.gateway import DEFAULT_NAMESPACE, GatewayBench


def spec(name: str = "pay", **worker: str) -> dict[str, Any]:
    return {"name": name, "target": {"worker": {"namespace": DEFAULT_NAMESPACE.name, "task_queue": "q", **worker}}}


@pytest.fixture
async def endpoints() -> NexusEndpointHandlers:
    bench = GatewayBench()
    return NexusEndpointHandlers(bench.runtime, bench.limits, bench.namespaces, bench.endpoints)


async def test_an_endpoint_is_made_changed_and_removed(endpoints: NexusEndpointHandlers) -> None:
    made = (await endpoints.create(CreateNexusEndpointRequest(spec=spec()))).endpoint
    assert (made.version, made.spec.target.worker.namespace) == (1, DEFAULT_NAMESPACE.name)
    assert not made.HasField("last_modified_time")
    assert (await endpoints.get(GetNexusEndpointRequest(id=made.id))).endpoint == made
    change = UpdateNexusEndpointRequest(id=made.id, version=1, spec=spec("sell", task_queue="other"))
    changed = (await endpoints.update(change)).endpoint
    assert (changed.version, changed.spec.name, changed.created_time) == (2, "sell", made.created_time)
    with pytest.raises(FailedPrecondition, match="received: 1 expected 2"):
        await endpoints.update(change)
    await endpoints.delete(DeleteNexusEndpointRequest(id=made.id, version=2))
    for late in (
        endpoints.get(GetNexusEndpointRequest(id=made.id)),
        endpoints.delete(DeleteNexusEndpointRequest(id=made.id, version=2)),
        endpoints.update(UpdateNexusEndpointRequest(id=made.id, version=2, spec=spec())),
    ):
        with pytest.raises(NotFound):
            await late


async def test_names_are_taken_once(endpoints: NexusEndpointHandlers) -> None:
    await endpoints.create(CreateNexusEndpointRequest(spec=spec()))
    other = (await endpoints.create(CreateNexusEndpointRequest(spec=spec("other")))).endpoint
    with pytest.raises(AlreadyExists, match="pay already registered"):
        await endpoints.create(CreateNexusEndpointRequest(spec=spec()))
    with pytest.raises(AlreadyExists, match="pay already registered"):
        await endpoints.update(UpdateNexusEndpointRequest(id=other.id, version=1, spec=spec()))


async def test_pages_have_what_they_were_asked_for(endpoints: NexusEndpointHandlers) -> None:
    made = {(await endpoints.create(CreateNexusEndpointRequest(spec=spec(f"e{n}")))).endpoint.id for n in range(5)}
    found, token = [], b""
    for size in (2, 2, 1):
        page = await endpoints.list_page(ListNexusEndpointsRequest(page_size=2, next_page_token=token))
        assert len(page.endpoints) == size
        found += [endpoint.id for endpoint in page.endpoints]
        token = page.next_page_token
    assert (found, token) == (sorted(made), b"")
    (named,) = (await endpoints.list_page(ListNexusEndpointsRequest(name="e3"))).endpoints
    assert named.spec.name == "e3"
    assert not (await endpoints.list_page(ListNexusEndpointsRequest(name="unknown"))).endpoints


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (spec(""), "endpoint name not set"),
        (spec("a"), "must match the regex"),
        (spec("a" * 201), "exceeds length limit of 200"),
        ({"name": "pay"}, "empty target variant"),
        (spec(namespace=""), "target namespace not set"),
        (spec(task_queue=""), "invalid target task queue"),
        ({**spec(), "description": {"data": b"x" * 20_000}}, "description size exceeds limit of 20000"),
    ],
)
async def test_bad_specifications_are_refused(endpoints: NexusEndpointHandlers, given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        await endpoints.create(CreateNexusEndpointRequest(spec=given))


async def test_targets_are_queues_in_namespaces_that_exist(endpoints: NexusEndpointHandlers) -> None:
    with pytest.raises(FailedPrecondition, match="could not verify namespace"):
        await endpoints.create(CreateNexusEndpointRequest(spec=spec(namespace="unknown")))
    outside: Any = {"name": "pay", "target": {"external": {"url": "https://localhost"}}}
    with pytest.raises(Unimplemented, match="external targets"):
        await endpoints.create(CreateNexusEndpointRequest(spec=outside))


async def test_a_namespace_stays_as_long_as_an_endpoint_leads_to_it() -> None:
    bench = GatewayBench()
    endpoints = NexusEndpointHandlers(bench.runtime, bench.limits, bench.namespaces, bench.endpoints)
    deletion = NamespaceDeletion(bench.runtime, bench.namespaces, bench.reclaimer, bench.endpoints.store)
    made = (await endpoints.create(CreateNexusEndpointRequest(spec=spec()))).endpoint
    with pytest.raises(FailedPrecondition, match="target of a Nexus endpoint pay"):
        await deletion.delete(DeleteNamespaceRequest(namespace=DEFAULT_NAMESPACE.name))
    assert await bench.namespaces.find(DEFAULT_NAMESPACE.name, fresh=True) == DEFAULT_NAMESPACE
    await endpoints.delete(DeleteNexusEndpointRequest(id=made.id, version=made.version))
    await deletion.delete(DeleteNamespaceRequest(namespace=DEFAULT_NAMESPACE.name))
    await deletion.stop()
