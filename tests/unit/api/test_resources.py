"""The life that resources have in common: versions, operations that are repeated, limits, other people's accounts."""

from __future__ import annotations

import asyncio

import pytest

from perdure.api.purging import DeletedNamespaces
from perdure.kernel import errors
from perdure.kernel.clock import VirtualClock
from perdure.kernel.limits import ControlLimits
from perdure.kernel.namespace import DAY_NS
from tests.support.control_plane import ControlBench, control_bench

NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}


async def test_a_namespace_from_its_creation_to_its_end(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE, "tags": {"team": "red"}})
    name = f"orders.{owner.account_id}"
    assert made.namespace == name
    shown = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace
    assert shown.state_deprecated == "Active"
    assert shown.spec.retention_days == 30
    assert shown.endpoints.grpc_address == "api.example:7233"
    assert shown.endpoints.mtls_grpc_address == ""
    assert dict(shown.tags) == {"team": "red"}
    (stored,) = bench.namespaces.records.values()
    assert (stored.name, stored.retention_ns) == (name, 30 * 86400 * 10**9)

    changed = {**NAMESPACE, "retentionDays": 7, "searchAttributes": {"Color": "SEARCH_ATTRIBUTE_TYPE_KEYWORD"}}
    update = {"namespace": name, "spec": changed, "resourceVersion": shown.resource_version}
    await bench.done(owner.token, "UpdateNamespace", update)
    (stored,) = bench.namespaces.records.values()
    assert (stored.retention_ns, stored.search_attributes) == (7 * 86400 * 10**9, {"Color": 2})

    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    with pytest.raises(errors.NotFound):
        await bench.call(owner.token, "GetNamespace", {"namespace": name})
    # The name is free again, for another one.
    await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    assert len(bench.namespaces.records) == 2


async def test_a_deleted_namespace_goes_for_good_after_a_week(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    (stored,) = bench.namespaces.records.values()
    assert stored.name != name
    clock = VirtualClock(bench.runtime.clock.now_ns())
    deleted = DeletedNamespaces(bench.database, bench.data_plane, clock)
    assert await deleted.purge() == 0
    clock.advance(7 * DAY_NS)
    assert await deleted.purge() == 1
    await asyncio.wait_for(bench.namespaces.deleted.wait(), 5)
    assert not bench.namespaces.records
    assert await deleted.purge() == 0


async def test_a_protected_namespace_is_not_deleted(bench: ControlBench) -> None:
    owner = await bench.account()
    spec = {**NAMESPACE, "lifecycle": {"enableDeleteProtection": True}}
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": spec})).namespace
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    with pytest.raises(errors.FailedPrecondition, match="delete_protection"):
        await bench.call(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})


async def test_an_update_needs_the_version_that_was_read(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    changed = {**NAMESPACE, "retentionDays": 7}
    for version, error in (("", errors.InvalidArgument), ("17", errors.Aborted)):
        with pytest.raises(error, match="resource_version"):
            request = {"namespace": name, "spec": changed, "resourceVersion": version}
            await bench.call(owner.token, "UpdateNamespace", request)
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    with pytest.raises(errors.InvalidArgument, match="nothing to change"):
        request = {"namespace": name, "spec": {**NAMESPACE, "retentionDays": 30}, "resourceVersion": version}
        await bench.call(owner.token, "UpdateNamespace", request)


async def test_a_repeated_request_is_answered_and_not_done_again(bench: ControlBench) -> None:
    owner = await bench.account()
    request = {"spec": {"name": "m", "access": {"accountAccess": {"role": "ROLE_READ"}}}, "asyncOperationId": "once"}
    first = await bench.call(owner.token, "CreateServiceAccount", request)
    again = await bench.call(owner.token, "CreateServiceAccount", request)
    assert first.service_account_id == again.service_account_id
    with pytest.raises(errors.AlreadyExists, match="async_operation_id"):
        other = {"spec": {**request["spec"], "name": "n"}, "asyncOperationId": "once"}  # type: ignore[dict-item]
        await bench.call(owner.token, "CreateServiceAccount", other)
    listed = await bench.call(owner.token, "GetServiceAccounts")
    assert [each.spec.name for each in listed.service_account] == ["m"]


async def test_the_secret_of_a_key_is_shown_once(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, _ = await bench.service_account(owner)
    spec = {
        "ownerId": machine,
        "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT",
        "displayName": "second",
        "expiryTime": bench.time_in(10**12),
    }
    request = {"spec": spec, "asyncOperationId": "key"}
    made = await bench.call(owner.token, "CreateApiKey", request)
    assert made.token
    again = await bench.call(owner.token, "CreateApiKey", request)
    assert (again.key_id, again.token) == (made.key_id, "")
    async with bench.database.reading() as transaction:
        row = await transaction.resource("API key", made.key_id)
    assert row is not None
    assert made.token[30:-6] not in f"{row.details}{row.spec!r}"


async def test_what_belongs_to_another_account_is_not_found(bench: ControlBench) -> None:
    owner, stranger = await bench.account(), await bench.account("stranger@example.com")
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    machine, _ = await bench.service_account(owner)
    asked = {
        "GetNamespace": ({"namespace": name}, {"namespace": f"none.{owner.account_id}"}),
        "GetServiceAccount": ({"serviceAccountId": machine}, {"serviceAccountId": machine[::-1]}),
        "GetUser": ({"userId": owner.user_id}, {"userId": owner.user_id[::-1]}),
    }
    for rpc, (existing, missing) in asked.items():
        answers = []
        for request in (existing, missing):
            with pytest.raises(errors.NotFound) as refused:
                await bench.call(stranger.token, rpc, request)
            (value,) = request.values()
            answers.append(refused.value.message.replace(value, "it"))
        assert answers[0] == answers[1], rpc
    assert not (await bench.call(stranger.token, "GetNamespaces")).namespaces
    assert not (await bench.call(stranger.token, "GetServiceAccounts")).service_account


async def test_limits_say_their_names(database_url: str) -> None:
    async with control_bench(
        database_url, ControlLimits(namespaces_max=1, api_keys_per_service_account_max=1)
    ) as bench:
        owner = await bench.account()
        await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
        with pytest.raises(errors.ResourceExhausted, match=r"cloud\.namespacesPerAccount is 1"):
            await bench.call(owner.token, "CreateNamespace", {"spec": {**NAMESPACE, "name": "other"}})
        machine, _ = await bench.service_account(owner)
        with pytest.raises(errors.ResourceExhausted, match=r"cloud\.apiKeysPerServiceAccount is 1"):
            await bench.key(owner, machine)


async def test_lists_go_on_where_they_ended(bench: ControlBench) -> None:
    owner = await bench.account()
    for number in range(5):
        spec = {"name": f"m{number}", "access": {"accountAccess": {"role": "ROLE_READ"}}}
        await bench.call(owner.token, "CreateServiceAccount", {"spec": spec})
    names, token = [], ""
    while True:
        page = await bench.call(owner.token, "GetServiceAccounts", {"pageSize": 2, "pageToken": token})
        assert len(page.service_account) <= 2
        names += [each.spec.name for each in page.service_account]
        token = page.next_page_token
        if not token:
            break
    assert names == [f"m{number}" for number in range(5)]
    made = (await bench.call(owner.token, "GetServiceAccounts", {"pageSize": 2})).next_page_token
    for rpc, broken in (("GetServiceAccounts", "?"), ("GetServiceAccounts", "AAAA"), ("GetUsers", made)):
        with pytest.raises(errors.InvalidArgument, match="page_token"):
            await bench.call(owner.token, rpc, {"pageToken": broken})
    stranger = await bench.account("stranger@example.com")
    with pytest.raises(errors.InvalidArgument, match="page_token"):
        await bench.call(stranger.token, "GetServiceAccounts", {"pageToken": made})
