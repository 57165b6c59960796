"""What somebody cannot get by means of what he has."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.cloud.cloudservice.v1 import CreateUserGroupRequest

from perdure.api.data.tables import OperationRow
from perdure.api.resources.kinds import DELETED_NAMESPACE
from perdure.api.services import EXTENSION_SERVICE
from perdure.kernel import errors
from perdure.kernel.clock import SECOND_NS
from tests.support.control_plane import ControlBench

KEEPER: dict[str, Any] = {
    "resources": {"resourceType": "customrole", "allowAll": True},
    "actions": ["cloud.customrole.update", "cloud.customrole.get"],
}
NAMESPACES = {"resources": {"resourceType": "namespace", "allowAll": True}, "actions": ["cloud.namespace.delete"]}


async def test_a_role_does_not_widen_itself(bench: ControlBench) -> None:
    owner = await bench.account()
    spec = {"name": "role keeper", "permissions": [KEEPER]}
    role_id = (await bench.call(owner.token, "CreateCustomRole", {"spec": spec})).role_id
    machine, token = await bench.service_account(owner, "ROLE_READ")
    mine = (await bench.call(owner.token, "GetServiceAccount", {"serviceAccountId": machine})).service_account
    access = {"accountAccess": {"role": "ROLE_READ", "customRoles": [role_id]}}
    change = {"serviceAccountId": machine, "resourceVersion": mine.resource_version}
    await bench.done(
        owner.token, "UpdateServiceAccount", {**change, "spec": {"name": mine.spec.name, "access": access}}
    )

    async def update(token: str, *permissions: Any) -> None:
        role = (await bench.call(token, "GetCustomRole", {"roleId": role_id})).custom_role
        request = {"roleId": role_id, "resourceVersion": role.resource_version}
        await bench.call(token, "UpdateCustomRole", {**request, "spec": {**spec, "permissions": list(permissions)}})

    with pytest.raises(errors.PermissionDenied, match="not gain any"):
        await update(token, KEEPER, NAMESPACES)
    await update(owner.token, KEEPER, NAMESPACES)
    await update(token, KEEPER)
    with pytest.raises(errors.PermissionDenied, match="not gain any"):
        await update(token, KEEPER, NAMESPACES)


async def test_a_key_does_not_take_the_place_of_its_siblings(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, stolen = await bench.service_account(owner, "ROLE_READ")
    sibling = await bench.key(owner, machine)
    mine = (await bench.call(stolen, "GetCurrentIdentity")).principal_api_key.id
    (other,) = (each.id for each in (await bench.call(stolen, "GetApiKeys", {})).api_keys if each.id != mine)
    with pytest.raises(errors.PermissionDenied, match="no other key"):
        await bench.person("RotateApiKey", {"keyId": other}, stolen)
    await bench.call(sibling, "GetAccount")
    renewed = await bench.person("RotateApiKey", {"keyId": mine}, stolen)
    await bench.call(renewed.token, "GetAccount")


async def test_gateways_do_not_keep_what_has_expired(clocked_bench: ControlBench) -> None:
    bench = clocked_bench
    owner = await bench.account()
    machine, _ = await bench.service_account(owner, "ROLE_READ")
    await bench.access.watch.look()
    known = len(bench.access.view.credentials)
    for _ in range(30):
        spec = {"ownerId": machine, "ownerType": "OWNER_TYPE_SERVICE_ACCOUNT", "displayName": "k"}
        await bench.call(owner.token, "CreateApiKey", {"spec": {**spec, "expiryTime": bench.time_in(SECOND_NS)}})
        await bench.pass_time(2 * SECOND_NS)
    await bench.access.watch.look()
    assert len(bench.access.view.credentials) <= known + 2


async def test_what_nobody_understands_is_not_stored(bench: ControlBench) -> None:
    owner = await bench.account()
    request = CreateUserGroupRequest()
    request.spec.display_name = "abc"
    request.spec.access.account_access.role = request.spec.access.account_access.ROLE_READ
    request.spec.cloud_group.SetInParent()
    # Field 500 with a thousand bytes.
    unknown = b"\xa2\x1f\xe8\x07" + b"x" * 1000
    request = CreateUserGroupRequest.FromString(request.SerializeToString() + unknown)
    answer = await bench.control_plane.call("CreateUserGroup", request, owner.token)
    async with bench.database.reading() as transaction:
        operation = await transaction.operation(owner.account_id, answer.async_operation.id)  # type: ignore[attr-defined]
    assert isinstance(operation, OperationRow)
    assert len(operation.request) < 200


async def test_a_namespace_whose_time_is_up_does_not_come_back(bench: ControlBench) -> None:
    owner = await bench.account()
    spec = {"name": "orders", "apiKeyAuth": {"enabled": True}}
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": spec})).namespace
    namespace = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace
    deletion = {"namespace": name, "resourceVersion": namespace.resource_version}
    await bench.done(owner.token, "DeleteNamespace", deletion)
    async with bench.database.writing() as transaction:
        (deleted,) = await transaction.of_kind(DELETED_NAMESPACE, "", 10)
        deleted.details = {**deleted.details, "purge_at_ns": bench.runtime.clock.now_ns()}
    with pytest.raises(errors.FailedPrecondition, match="time is up"):
        await bench.ask(EXTENSION_SERVICE, "UndeleteNamespace", {"deletedNamespaceId": deleted.id}, owner.token)
