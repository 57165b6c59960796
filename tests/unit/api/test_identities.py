"""What identities have: by themselves, through groups and custom roles; and who may give it."""

from __future__ import annotations

import pytest

from perdure.kernel import errors
from tests.support.control_plane import ControlBench, Owner

READ = {"accountAccess": {"role": "ROLE_READ"}}
NAMESPACE = {"name": "orders", "apiKeyAuth": {"enabled": True}}


async def _user(bench: ControlBench, owner: Owner, email: str = "ann@example.com") -> str:
    made = await bench.call(owner.token, "CreateUser", {"spec": {"email": email, "access": READ}})
    return str(made.user_id)


async def test_a_group_gives_what_it_has_and_takes_it_again(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    user_id = await _user(bench, owner)
    spec = {
        "displayName": "writers",
        "access": {**READ, "namespaceAccesses": {name: {"permission": "PERMISSION_WRITE"}}},
        "cloudGroup": {},
    }
    group_id = (await bench.call(owner.token, "CreateUserGroup", {"spec": spec})).group_id
    member = {"groupId": group_id, "memberId": {"userId": user_id}}

    async def permission() -> int | None:
        await bench.access.watch.look()
        return bench.access.view.principals[user_id].grants.namespaces.get(name)

    assert await permission() is None
    await bench.call(owner.token, "AddUserGroupMember", member)
    assert await permission() == 2
    with pytest.raises(errors.AlreadyExists):
        await bench.call(owner.token, "AddUserGroupMember", member)
    group = (await bench.call(owner.token, "GetUserGroup", {"groupId": group_id})).group
    spec["access"]["namespaceAccesses"][name]["permission"] = "PERMISSION_ADMIN"  # type: ignore[index]
    update = {"groupId": group_id, "spec": spec, "resourceVersion": group.resource_version}
    await bench.call(owner.token, "UpdateUserGroup", update)
    assert await permission() == 1
    await bench.call(owner.token, "RemoveUserGroupMember", member)
    assert await permission() is None
    await bench.call(owner.token, "AddUserGroupMember", member)
    group = (await bench.call(owner.token, "GetUserGroup", {"groupId": group_id})).group
    await bench.call(owner.token, "DeleteUserGroup", {"groupId": group_id, "resourceVersion": group.resource_version})
    assert await permission() is None


async def test_whoever_makes_a_namespace_is_its_admin(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, token = await bench.service_account(owner, "ROLE_DEVELOPER")
    name = (await bench.done(token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    assert bench.access.view.principals[machine].grants.namespaces == {name: 1}
    assert [each.namespace for each in (await bench.call(token, "GetNamespaces")).namespaces] == [name]
    other, other_token = await bench.service_account(owner, "ROLE_DEVELOPER")
    assert not (await bench.call(other_token, "GetNamespaces")).namespaces
    assigned = await bench.call(token, "GetServiceAccountNamespaceAssignments", {"namespace": name})
    assert [each.id for each in assigned.service_accounts] == [machine]
    version = (await bench.call(owner.token, "GetServiceAccount", {"serviceAccountId": other})).service_account
    request = {
        "namespace": name,
        "serviceAccountId": other,
        "access": {"permission": "PERMISSION_READ"},
        "resourceVersion": version.resource_version,
    }
    await bench.done(token, "SetServiceAccountNamespaceAccess", request)
    assert [each.namespace for each in (await bench.call(other_token, "GetNamespaces")).namespaces] == [name]
    with pytest.raises(errors.PermissionDenied):
        await bench.call(other_token, "SetServiceAccountNamespaceAccess", {**request, "serviceAccountId": machine})


async def test_a_deleted_namespace_takes_permissions_and_its_own_machines_along(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    user_id = await _user(bench, owner)
    user = (await bench.call(owner.token, "GetUser", {"userId": user_id})).user
    given = {"namespace": name, "userId": user_id, "access": {"permission": "PERMISSION_WRITE"}}
    await bench.call(owner.token, "SetUserNamespaceAccess", {**given, "resourceVersion": user.resource_version})
    scoped = {"namespace": name, "access": {"permission": "PERMISSION_WRITE"}}
    made = await bench.done(
        owner.token, "CreateServiceAccount", {"spec": {"name": "worker", "namespaceScopedAccess": scoped}}
    )
    key = await bench.key(owner, made.service_account_id)
    assert (await bench.call(key, "GetNamespace", {"namespace": name})).namespace.namespace == name
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    with pytest.raises(errors.Unauthenticated):
        await bench.call(key, "GetNamespaces")
    await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    assert bench.access.view.principals[user_id].grants.namespaces == {}


async def test_a_custom_role_forgets_a_deleted_namespace(bench: ControlBench) -> None:
    owner = await bench.account()
    name = (await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})).namespace
    kept = (await bench.done(owner.token, "CreateNamespace", {"spec": {**NAMESPACE, "name": "kept"}})).namespace
    actions = ["cloud.namespace.setUserAccess"]
    permissions = [
        {"resources": {"resourceType": "namespace", "resourceIds": ids}, "actions": actions}
        for ids in ([name], [name, kept])
    ]
    spec = {"name": "role", "permissions": permissions}
    role_id = (await bench.done(owner.token, "CreateCustomRole", {"spec": spec})).role_id
    access = {"accountAccess": {"role": "ROLE_READ", "customRoles": [role_id]}}
    made = await bench.done(owner.token, "CreateServiceAccount", {"spec": {"name": "machine", "access": access}})
    version = (await bench.call(owner.token, "GetNamespace", {"namespace": name})).namespace.resource_version
    await bench.done(owner.token, "DeleteNamespace", {"namespace": name, "resourceVersion": version})
    await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    role = (await bench.call(owner.token, "GetCustomRole", {"roleId": role_id})).custom_role
    assert [list(each.resources.resource_ids) for each in role.spec.permissions] == [[kept]]
    (custom,) = bench.access.view.principals[made.service_account_id].grants.custom
    assert custom.resource_ids == {kept}


async def test_the_last_owner_stays(bench: ControlBench) -> None:
    owner = await bench.account()
    user = (await bench.call(owner.token, "GetUser", {"userId": owner.user_id})).user
    request = {"userId": owner.user_id, "resourceVersion": user.resource_version}
    with pytest.raises(errors.FailedPrecondition, match="owner"):
        await bench.call(owner.token, "DeleteUser", request)
    with pytest.raises(errors.FailedPrecondition, match="owner"):
        spec = {"email": "owner@example.com", "access": READ}
        await bench.call(owner.token, "UpdateUser", {**request, "spec": spec})


async def test_owners_by_a_group_are_deleted_by_owners_only(bench: ControlBench) -> None:
    owner = await bench.account()
    _, admin = await bench.service_account(owner, "ROLE_ADMIN")
    made = await bench.call(owner.token, "CreateUser", {"spec": {"email": "ann@example.com", "access": READ}})
    owners = {"displayName": "owners", "access": {"accountAccess": {"role": "ROLE_OWNER"}}, "cloudGroup": {}}
    group = await bench.call(owner.token, "CreateUserGroup", {"spec": owners})
    member = {"groupId": group.group_id, "memberId": {"userId": made.user_id}}
    await bench.call(owner.token, "AddUserGroupMember", member)
    user = (await bench.call(owner.token, "GetUser", {"userId": made.user_id})).user
    request = {"userId": made.user_id, "resourceVersion": user.resource_version}
    with pytest.raises(errors.PermissionDenied, match="gains or loses the role Owner"):
        await bench.call(admin, "DeleteUser", request)
    await bench.call(owner.token, "RemoveUserGroupMember", member)
    await bench.call(admin, "DeleteUser", request)


async def test_nobody_rises_by_himself(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, admin = await bench.service_account(owner, "ROLE_ADMIN")
    spec = {"email": "x@example.com", "access": {"accountAccess": {"role": "ROLE_OWNER"}}}
    with pytest.raises(errors.PermissionDenied):
        await bench.call(admin, "CreateUser", {"spec": spec})
    with pytest.raises(errors.PermissionDenied):
        mine = (await bench.call(admin, "GetServiceAccount", {"serviceAccountId": machine})).service_account
        risen = {"name": mine.spec.name, "access": {"accountAccess": {"role": "ROLE_OWNER"}}}
        request = {"serviceAccountId": machine, "spec": risen, "resourceVersion": mine.resource_version}
        await bench.call(admin, "UpdateServiceAccount", request)
    _, developer = await bench.service_account(owner, "ROLE_DEVELOPER")
    with pytest.raises(errors.PermissionDenied):
        await bench.call(developer, "CreateUser", {"spec": {"email": "y@example.com", "access": READ}})


async def test_a_custom_role_opens_what_it_says(bench: ControlBench) -> None:
    owner = await bench.account()
    permission = {"resources": {"resourceType": "account", "allowAll": True}, "actions": ["cloud.customrole.create"]}
    spec = {"name": "role maker", "permissions": [permission]}
    role_id = (await bench.call(owner.token, "CreateCustomRole", {"spec": spec})).role_id
    machine, token = await bench.service_account(owner, "ROLE_READ")
    with pytest.raises(errors.PermissionDenied):
        await bench.call(token, "CreateCustomRole", {"spec": {**spec, "name": "another"}})
    mine = (await bench.call(owner.token, "GetServiceAccount", {"serviceAccountId": machine})).service_account
    access = {"accountAccess": {"role": "ROLE_READ", "customRoles": [role_id]}}
    request = {"serviceAccountId": machine, "resourceVersion": mine.resource_version}
    await bench.done(
        owner.token, "UpdateServiceAccount", {**request, "spec": {"name": mine.spec.name, "access": access}}
    )
    await bench.call(token, "CreateCustomRole", {"spec": {**spec, "name": "another"}})
    role = (await bench.call(owner.token, "GetCustomRole", {"roleId": role_id})).custom_role
    with pytest.raises(errors.FailedPrecondition, match="has the role"):
        deletion = {"roleId": role_id, "resourceVersion": role.resource_version}
        await bench.call(owner.token, "DeleteCustomRole", deletion)


async def test_keys_are_disabled_and_deleted_at_once(bench: ControlBench) -> None:
    owner = await bench.account()
    machine, token = await bench.service_account(owner, "ROLE_READ")
    (key,) = (await bench.call(owner.token, "GetApiKeys", {"ownerId": machine})).api_keys
    assert key.spec.owner_type_deprecated == "service-account"

    async def change(version: str, disabled: bool) -> None:
        spec = {"displayName": "key", "disabled": disabled}
        request = {"keyId": key.id, "spec": spec, "resourceVersion": version}
        await bench.done(owner.token, "UpdateApiKey", request)

    await change(key.resource_version, True)
    with pytest.raises(errors.Unauthenticated, match="disabled"):
        await bench.call(token, "GetAccount")
    version = (await bench.call(owner.token, "GetApiKey", {"keyId": key.id})).api_key.resource_version
    await change(version, False)
    await bench.call(token, "GetAccount")
    version = (await bench.call(owner.token, "GetApiKey", {"keyId": key.id})).api_key.resource_version
    await bench.done(owner.token, "DeleteApiKey", {"keyId": key.id, "resourceVersion": version})
    with pytest.raises(errors.Unauthenticated):
        await bench.call(token, "GetAccount")


async def test_a_service_account_switches_no_key_off_or_on(bench: ControlBench) -> None:
    """Else a stolen one would switch off all others, and one for a token what an admin has switched off."""
    owner = await bench.account()
    machine, token = await bench.service_account(owner, "ROLE_READ")
    await bench.key(owner, machine)
    for key in (await bench.call(owner.token, "GetApiKeys", {"ownerId": machine})).api_keys:
        spec = {"displayName": "key", "disabled": True}
        with pytest.raises(errors.PermissionDenied, match="no service account"):
            request = {"keyId": key.id, "spec": spec, "resourceVersion": key.resource_version}
            await bench.call(token, "UpdateApiKey", request)


async def test_what_is_asked_of_a_namespace_is_for_those_who_see_it(bench: ControlBench) -> None:
    owner = await bench.account()
    made = await bench.done(owner.token, "CreateNamespace", {"spec": NAMESPACE})
    name, asked = made.namespace, made.async_operation.id
    _, stranger = await bench.service_account(owner, "ROLE_READ")
    machine, seeing = await bench.service_account(owner, "ROLE_READ", **{name: "PERMISSION_READ"})
    version = (await bench.call(owner.token, "GetServiceAccount", {"serviceAccountId": machine})).service_account
    given = {"namespace": name, "serviceAccountId": machine, "access": {"permission": "PERMISSION_WRITE"}}
    request = {**given, "resourceVersion": version.resource_version}
    changed = (await bench.done(owner.token, "SetServiceAccountNamespaceAccess", request)).async_operation.id
    for operation in (asked, changed):
        await bench.call(seeing, "GetAsyncOperation", {"asyncOperationId": operation})
        with pytest.raises(errors.NotFound, match=f"operation {operation} is not found"):
            await bench.call(stranger, "GetAsyncOperation", {"asyncOperationId": operation})
