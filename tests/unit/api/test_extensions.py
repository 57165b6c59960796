"""What accounts have beyond CloudService."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.resources import kinds
from perdure.api.services import EXTENSION_SERVICE
from perdure.auth.certificates.issuing import Issued, generate_authority
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.identity import KnownCaller
from perdure.kernel.ids import NamespaceName
from perdure.kernel.namespace import REGISTERED
from tests.support.control_plane import ControlBench

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}
NOW = datetime.now(UTC)
HOUR_NS = 3600 * SECOND_NS
START = "temporal.api.workflowservice.v1.WorkflowService.StartWorkflowExecution"
POLL = "temporal.api.workflowservice.v1.WorkflowService.PollWorkflowTaskQueue"


async def _call(bench: ControlBench, token: str, rpc: str, request: dict[str, Any] | None = None) -> Any:
    method = EXTENSION_SERVICE.methods_by_name[rpc]
    message = ParseDict(request or {}, GetMessageClass(method.input_type)())
    answer = await bench.control_plane.endpoint(method)(message, KnownCaller({"authorization": f"Bearer {token}"}))
    await bench.access.watch.look()
    return answer


async def _admitted(bench: ControlBench, token: str, namespace: str, rpc: str = START, address: str = "") -> bool:
    caller = KnownCaller({"authorization": f"Bearer {token}"}, address)
    try:
        await bench.access.guard.admit(rpc, caller, NamespaceName(namespace))
    except (errors.PermissionDenied, errors.Unauthenticated):
        return False
    return True


async def test_a_namespace_is_switched_off_and_on(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    assert await _admitted(bench, owner.token, name)
    for disabled in (True, False):
        version = (await _call(bench, owner.token, "GetNamespaceSettings", {"namespace": name})).resource_version
        request = {"namespace": name, "settings": {"disabled": disabled}, "resourceVersion": version}
        answer = await _call(bench, owner.token, "UpdateNamespaceSettings", request)
        assert await _admitted(bench, owner.token, name) != disabled
        shown = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace
        assert (shown.state == ResourceState.RESOURCE_STATE_SUSPENDED) == disabled
        with pytest.raises(errors.InvalidArgument, match="nothing to change"):
            again = {**request, "resourceVersion": answer.resource_version}
            await _call(bench, owner.token, "UpdateNamespaceSettings", again)
        with pytest.raises(errors.Aborted):
            await _call(bench, owner.token, "UpdateNamespaceSettings", request)


async def test_revocation_lists_are_those_of_a_trusted_authority(bench: ControlBench) -> None:
    owner = await bench.account()
    authority, stranger = (generate_authority(name, timedelta(days=9), NOW) for name in ("acme", "other"))
    mtls = {"enabled": True, "acceptedClientCa": _base64(authority.certificate_pem)}
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": {"name": "orders", "mtlsAuth": mtls}})).namespace
    version = (await _call(bench, owner.token, "GetNamespaceSettings", {"namespace": name})).resource_version

    async def set_lists(lists: bytes) -> None:
        settings = {"revocationLists": _base64(lists)}
        request = {"namespace": name, "settings": settings, "resourceVersion": version}
        await _call(bench, owner.token, "UpdateNamespaceSettings", request)

    for broken in (_list(stranger), b"x"):
        with pytest.raises(errors.InvalidArgument, match="revocation_lists"):
            await set_lists(broken)
    lists = _list(authority)
    await set_lists(lists)
    assert bench.access.view.namespaces[NamespaceName(name)].record.revocation_lists == lists


async def test_an_authority_stays_as_long_as_its_revocation_lists(bench: ControlBench) -> None:
    owner = await bench.account()
    old, new = (generate_authority(name, timedelta(days=9), NOW) for name in ("old", "new"))

    def spec(*authorities: Issued, enabled: bool = True) -> dict[str, Any]:
        bundle = b"".join(each.certificate_pem for each in authorities)
        return {**NAMESPACE, "mtlsAuth": {"enabled": enabled, "acceptedClientCa": _base64(bundle)}}

    name = (await bench.done(owner.token, "CreateNamespace", {"spec": spec(old)})).namespace

    async def set_lists(lists: bytes) -> None:
        version = (await _call(bench, owner.token, "GetNamespaceSettings", {"namespace": name})).resource_version
        settings = {"revocationLists": _base64(lists)}
        request = {"namespace": name, "settings": settings, "resourceVersion": version}
        await _call(bench, owner.token, "UpdateNamespaceSettings", request)

    async def trust(*authorities: Issued, enabled: bool = True) -> None:
        version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
        request = {"namespace": name, "spec": spec(*authorities, enabled=enabled), "resourceVersion": version}
        await bench.done(owner.token, "UpdateNamespace", request)

    await set_lists(_list(old))
    with pytest.raises(errors.InvalidArgument, match=r"accepted_client_ca: .*revocation_lists"):
        await trust(new)
    await trust(new, enabled=False)
    with pytest.raises(errors.InvalidArgument, match=r"accepted_client_ca: .*revocation_lists"):
        await trust(new)
    await trust(old, new)
    await set_lists(_list(new))
    await trust(new)
    assert bench.access.view.namespaces[NamespaceName(name)].certificates is not None


async def test_a_deleted_namespace_comes_back(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    (before,) = bench.namespaces.records.values()
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    assert not await _admitted(bench, owner.token, name)
    (deleted,) = (await _call(bench, owner.token, "GetDeletedNamespaces")).namespaces
    assert deleted.namespace == name
    assert not (await _call(bench, stranger.token, "GetDeletedNamespaces")).namespaces
    with pytest.raises(errors.NotFound):
        await _call(bench, stranger.token, "UndeleteNamespace", {"deletedNamespaceId": deleted.id})

    # Its name is free, so somebody may have taken it.
    other = await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    with pytest.raises(errors.AlreadyExists):
        await _call(bench, owner.token, "UndeleteNamespace", {"deletedNamespaceId": deleted.id})
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": other.namespace})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})

    answer = await _call(bench, owner.token, "UndeleteNamespace", {"deletedNamespaceId": deleted.id})
    assert answer.namespace == name
    await bench.until_done(owner.token, answer.async_operation_id)
    after = bench.namespaces.records[before.id]
    assert (after.name, after.state, after.retention_ns) == (name, REGISTERED, before.retention_ns)
    assert await _admitted(bench, owner.token, name)


async def test_a_key_for_workers_only_and_from_one_network(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    machine, full = await bench.service_account(owner, "ROLE_READ", **{name: "PERMISSION_WRITE"})
    request = {
        "serviceAccountId": machine,
        "displayName": "worker",
        "expiryTime": bench.time_in(10**12),
        "scope": "worker",
        "sourceNetworks": ["192.0.2.0/24"],
    }
    key = await _call(bench, owner.token, "CreateServiceAccountApiKey", request)
    assert await _admitted(bench, full, name)
    assert await _admitted(bench, key.token, name, POLL, "192.0.2.7")
    assert not await _admitted(bench, key.token, name, START, "192.0.2.7")
    assert not await _admitted(bench, key.token, name, POLL, "198.51.100.7")
    for field, wrong in (("scope", "all"), ("sourceNetworks", ["everywhere"]), ("serviceAccountId", "nobody")):
        with pytest.raises((errors.InvalidArgument, errors.NotFound, errors.PermissionDenied)):
            await _call(bench, owner.token, "CreateServiceAccountApiKey", {**request, field: wrong})
    # It does not make itself a stronger one.
    worker = KnownCaller({"authorization": f"Bearer {key.token}"}, "192.0.2.7")
    method = EXTENSION_SERVICE.methods_by_name["CreateServiceAccountApiKey"]
    message = ParseDict({**request, "scope": "full"}, GetMessageClass(method.input_type)())
    with pytest.raises(errors.PermissionDenied):
        await bench.control_plane.endpoint(method)(message, worker)


async def test_who_reads_without_payloads_sees_no_descriptions(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    machine, full = await bench.service_account(owner, "ROLE_READ")
    request = {"serviceAccountId": machine, "displayName": "r", "expiryTime": bench.time_in(10**12), "scope": "reader"}
    reader = (await _call(bench, owner.token, "CreateServiceAccountApiKey", request)).token
    spec = {
        "name": "nexus",
        "targetSpec": {"workerTargetSpec": {"namespaceId": name, "taskQueue": "q"}},
        "description": {"data": "c2VjcmV0"},
        "descriptionDeprecated": "secret",
    }
    endpoint_id = (await bench.done(owner.token, "CreateNexusEndpoint", {"spec": spec})).endpoint_id
    for token, is_shown in ((full, True), (reader, False)):
        (listed,) = (await bench.call(token, "GetNexusEndpoints")).endpoints
        found = (await bench.call(token, "GetNexusEndpoint", {"endpointId": endpoint_id})).endpoint
        for endpoint in (listed, found):
            assert endpoint.spec.name == "nexus"
            assert ("secret" in str(endpoint)) == is_shown


async def test_what_somebody_may_do_and_why(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    machine, _ = await bench.service_account(owner, "ROLE_READ", **{name: "PERMISSION_WRITE"})
    request = {"principalId": machine, "namespace": name}
    found = (await _call(bench, owner.token, "GetEffectivePermissions", request)).permissions
    by_rpc = {each.rpc: (each.allowed, each.because) for each in found}
    assert by_rpc[START] == (True, f"namespace permission Write on {name}")
    assert not by_rpc["temporal.api.cloud.cloudservice.v1.CloudService.DeleteNamespace"][0]
    with pytest.raises(errors.NotFound):
        await _call(bench, stranger.token, "GetEffectivePermissions", {"principalId": machine})


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _list(authority: Issued) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW + timedelta(days=1))
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.PEM)


async def test_a_namespace_is_used_from_its_networks_only(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace

    async def set_networks(networks: list[str]) -> None:
        found = await _call(bench, owner.token, "GetNamespaceSettings", {"namespace": name})
        settings = {"sourceNetworks": networks}
        request = {"namespace": name, "settings": settings, "resourceVersion": found.resource_version}
        await _call(bench, owner.token, "UpdateNamespaceSettings", request)

    await set_networks(["192.0.2.0/24", "2001:db8::/32"])
    for address, admitted in (("192.0.2.7", True), ("2001:db8::7", True), ("198.51.100.7", False), ("", False)):
        assert await _admitted(bench, owner.token, name, address=address) is admitted
    with pytest.raises(errors.InvalidArgument, match="source_networks"):
        await set_networks(["192.0.2.7/24"])
    await set_networks([])
    assert await _admitted(bench, owner.token, name, address="198.51.100.7")


async def test_usage_is_broken_down_by_action_and_type(bench: ControlBench) -> None:
    owner, other = await bench.account(), await bench.account("other@example.com")
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    async with bench.own_call(owner) as call:
        row = await call.transaction.resource(kinds.NAMESPACE, name)
        assert row is not None
        namespace_id = row.details["namespace_id"]
    hour = bench.runtime.clock.now_ns() // HOUR_NS
    for ago, action, times in ((0, "start_workflow", 3), (1, "start_workflow", 2), (0, "start_timer", 9)):
        bench.usage.count(namespace_id, hour - ago, action, times)

    async def used(first: int, end: int) -> dict[str, int]:
        times = {
            "startTimeInclusive": bench.time_at(first * HOUR_NS),
            "endTimeExclusive": bench.time_at(end * HOUR_NS),
        }
        answer = await _call(bench, owner.token, "GetUsageBreakdown", {"namespace": name, **times})
        return {each.action: each.count for each in answer.used}

    assert list((await used(hour - 1, hour + 1)).items()) == [("start_timer", 9), ("start_workflow", 5)]
    assert await used(hour - 1, hour) == {"start_workflow": 2}
    for first, end in ((hour, hour), (hour, hour + 2), (hour - 91 * 24, hour)):
        with pytest.raises(errors.InvalidArgument, match="time"):
            await used(first, end)
    with pytest.raises(errors.NotFound):
        await _call(bench, other.token, "GetUsageBreakdown", {"namespace": name})


async def test_a_namespace_whose_rule_is_gone_comes_back_closed(bench: ControlBench) -> None:
    owner = await bench.account()
    private = {"privateRule": {"connectionId": "office", "region": "local-1"}}
    rule = (await bench.call(owner.token, "CreateConnectivityRule", {"spec": private})).connectivity_rule_id
    spec = {**NAMESPACE, "connectivityRuleIds": [rule]}
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": spec})).namespace
    assert await _admitted(bench, owner.token, name, address="192.0.2.7")
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    found = (await bench.call(owner.token, "GetConnectivityRule", {"connectivityRuleId": rule})).connectivity_rule
    request = {"connectivityRuleId": rule, "resourceVersion": found.resource_version}
    await bench.call(owner.token, "DeleteConnectivityRule", request)
    (deleted,) = (await _call(bench, owner.token, "GetDeletedNamespaces")).namespaces
    answer = await _call(bench, owner.token, "UndeleteNamespace", {"deletedNamespaceId": deleted.id})
    await bench.until_done(owner.token, answer.async_operation_id)
    for address in ("192.0.2.7", "8.8.8.8", ""):
        assert not await _admitted(bench, owner.token, name, address=address)
