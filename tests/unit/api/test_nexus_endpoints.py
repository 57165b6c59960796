"""Nexus endpoints of an account, and what the data plane has of them."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.kernel.errors import FailedPrecondition
from perdure.kernel.nexus import NexusEndpoint
from tests.support.control_plane import ControlBench

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}


async def known(bench: ControlBench, account_id: str, name: str) -> NexusEndpoint | None:
    return await bench.endpoints.by_name(account_id, name)


async def test_the_data_plane_follows_what_endpoints_are_to_be(bench: ControlBench) -> None:
    owner = await bench.account()
    names = [
        (await bench.done(owner.token, "CreateNamespace", {"spec": {**NAMESPACE, "name": name}})).namespace
        for name in ("target", "caller")
    ]
    stored = {each.name: each.id for each in bench.namespaces.records.values()}
    spec: dict[str, Any] = {
        "name": "pay",
        "targetSpec": {"workerTargetSpec": {"namespaceId": names[0], "taskQueue": "payments"}},
        "policySpecs": [{"allowedCloudNamespacePolicySpec": {"namespaceId": names[1]}}],
    }
    made = await bench.done(owner.token, "CreateNexusEndpoint", {"spec": spec})
    account_id = names[0].rpartition(".")[2]
    endpoint = await known(bench, account_id, "pay")
    assert endpoint is not None
    target, caller = (bench.namespaces.records[stored[name]] for name in names)  # type: ignore[index]
    assert (endpoint.namespace_id, endpoint.task_queue, endpoint.callers) == (target.id, "payments", (caller.id,))
    assert endpoint.may_be_called_by(caller)
    assert not endpoint.may_be_called_by(target), "only who is named"

    found = (await bench.call(owner.token, "GetNexusEndpoint", {"endpointId": made.endpoint_id})).endpoint
    change = {"endpointId": made.endpoint_id, "resourceVersion": found.resource_version}
    await bench.done(
        owner.token, "UpdateNexusEndpoint", {**change, "spec": {**spec, "name": "sell", "policySpecs": []}}
    )
    assert await known(bench, account_id, "pay") is None
    endpoint = await known(bench, account_id, "sell")
    assert endpoint is not None
    assert (endpoint.callers, endpoint.version) == ((), 2)

    found = (await bench.call(owner.token, "GetNexusEndpoint", {"endpointId": made.endpoint_id})).endpoint
    change = {"endpointId": made.endpoint_id, "resourceVersion": found.resource_version}
    await bench.done(owner.token, "DeleteNexusEndpoint", change)
    assert await known(bench, account_id, "sell") is None
    assert not (await bench.call(owner.token, "GetNexusEndpoints")).endpoints


async def test_a_namespace_stays_as_long_as_an_endpoint_leads_to_it(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    target = {"workerTargetSpec": {"namespaceId": name, "taskQueue": "payments"}}
    made = await bench.done(owner.token, "CreateNexusEndpoint", {"spec": {"name": "pay", "targetSpec": target}})
    with pytest.raises(FailedPrecondition, match="target of the Nexus endpoint pay"):
        await bench.done(owner.token, "DeleteNamespace", await version_of(bench, owner.token, name))
    found = (await bench.call(owner.token, "GetNexusEndpoint", {"endpointId": made.endpoint_id})).endpoint
    change = {"endpointId": made.endpoint_id, "resourceVersion": found.resource_version}
    await bench.done(owner.token, "DeleteNexusEndpoint", change)
    await bench.done(owner.token, "DeleteNamespace", await version_of(bench, owner.token, name))
    assert not (await bench.call(owner.token, "GetNamespaces")).namespaces


async def version_of(bench: ControlBench, token: str, name: str) -> dict[str, str]:
    found = (await bench.call(token, "GetNamespace", {"namespace": name})).namespace
    return {"namespace": name, "resourceVersion": found.resource_version}
