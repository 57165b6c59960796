"""Who may do what on one namespace: given by its Admins, and listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from temporalio.api.cloud.cloudservice.v1 import (
    GetServiceAccountNamespaceAssignmentsRequest,
    GetServiceAccountNamespaceAssignmentsResponse,
    GetUserGroupNamespaceAssignmentsRequest,
    GetUserGroupNamespaceAssignmentsResponse,
    GetUserNamespaceAssignmentsRequest,
    GetUserNamespaceAssignmentsResponse,
    SetServiceAccountNamespaceAccessRequest,
    SetServiceAccountNamespaceAccessResponse,
    SetUserGroupNamespaceAccessRequest,
    SetUserGroupNamespaceAccessResponse,
    SetUserNamespaceAccessRequest,
    SetUserNamespaceAccessResponse,
)
from temporalio.api.cloud.identity.v1 import (
    AccountAccess,
    NamespaceAccess,
    ServiceAccountNamespaceAssignment,
    ServiceAccountSpec,
    UserGroupNamespaceAssignment,
    UserNamespaceAssignment,
)

from perdure.api.calls import ControlCall, Method, at_namespace
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import accesses, kinds, rows
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of, publish_group, publish_identity, set_access
from perdure.kernel.errors import InvalidArgument

#: Account roles that are Admin of all namespaces.
_EVERYWHERE = (AccountAccess.ROLE_OWNER, AccountAccess.ROLE_ADMIN)


async def _set_user(call: ControlCall, request: SetUserNamespaceAccessRequest) -> SetUserNamespaceAccessResponse:
    row = await rows.find(call, kinds.USER, request.user_id, field="user_id")
    await _set(call, row, request)
    await publish_identity(call.transaction, row)
    return SetUserNamespaceAccessResponse()


async def _set_group(
    call: ControlCall, request: SetUserGroupNamespaceAccessRequest
) -> SetUserGroupNamespaceAccessResponse:
    row = await rows.find(call, kinds.USER_GROUP, request.group_id, field="group_id")
    await _set(call, row, request)
    await publish_group(call.transaction, row.id)
    return SetUserGroupNamespaceAccessResponse()


async def _set_service_account(
    call: ControlCall, request: SetServiceAccountNamespaceAccessRequest
) -> SetServiceAccountNamespaceAccessResponse:
    row = await rows.find(call, kinds.SERVICE_ACCOUNT, request.service_account_id, field="service_account_id")
    spec = rows.spec_of(row, ServiceAccountSpec)
    if spec.HasField("namespace_scoped_access"):
        raise InvalidArgument("service_account_id: it belongs to one namespace, change its specification instead.")
    await _set(call, row, request)
    await publish_identity(call.transaction, row)
    return SetServiceAccountNamespaceAccessResponse()


async def _set(call: ControlCall, row: ResourceRow, request: Any) -> None:
    """Give, replace or take a permission. The version is that of whoever has it."""
    await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    rows.check_version(row, request.resource_version)
    access = access_of(row)
    if accesses.is_empty(request.access):
        if request.namespace not in access.namespace_accesses:
            raise InvalidArgument("nothing to change")
        del access.namespace_accesses[request.namespace]
    else:
        access.namespace_accesses[request.namespace].permission = accesses.permission_of(request.access)
    before = row.spec
    row.spec = set_access(row, access)
    if row.spec == before:
        raise InvalidArgument("nothing to change")
    rows.touch(call, row)


async def _users(
    call: ControlCall, request: GetUserNamespaceAssignmentsRequest
) -> GetUserNamespaceAssignmentsResponse:
    found, token = await _assigned(call, request, kinds.USER)
    users = [_shown(UserNamespaceAssignment(email=row.name), row, request.namespace) for row in found]
    return GetUserNamespaceAssignmentsResponse(users=users, next_page_token=token)


async def _service_accounts(
    call: ControlCall, request: GetServiceAccountNamespaceAssignmentsRequest
) -> GetServiceAccountNamespaceAssignmentsResponse:
    found, token = await _assigned(call, request, kinds.SERVICE_ACCOUNT)
    shown = [_shown(ServiceAccountNamespaceAssignment(name=row.name), row, request.namespace) for row in found]
    return GetServiceAccountNamespaceAssignmentsResponse(service_accounts=shown, next_page_token=token)


async def _groups(
    call: ControlCall, request: GetUserGroupNamespaceAssignmentsRequest
) -> GetUserGroupNamespaceAssignmentsResponse:
    found, token = await _assigned(call, request, kinds.USER_GROUP)
    groups = [_shown(UserGroupNamespaceAssignment(display_name=row.name), row, request.namespace) for row in found]
    return GetUserGroupNamespaceAssignmentsResponse(groups=groups, next_page_token=token)


async def _assigned(call: ControlCall, request: Any, kind: str) -> tuple[Sequence[ResourceRow], str]:
    await rows.find(call, kinds.NAMESPACE, request.namespace, field="namespace")
    wanted: Callable[[ResourceRow], bool] = lambda row: _permission(row, request.namespace) is not None  # noqa: E731
    return await page(call, request, kind, wanted)


def _permission(row: ResourceRow, namespace: str) -> tuple[NamespaceAccess.Permission.ValueType, bool] | None:
    """What a user, group or service account has itself on the namespace, and whether that is by its account role."""
    access = access_of(row)
    if access.account_access.role in _EVERYWHERE:
        return NamespaceAccess.PERMISSION_ADMIN, True
    if namespace in access.namespace_accesses:
        return access.namespace_accesses[namespace].permission, False
    return None


def _shown(assignment: Any, row: ResourceRow, namespace: str) -> Any:
    found = _permission(row, namespace)
    assert found is not None
    assignment.id = row.id
    assignment.namespace_access.permission, assignment.inherited_access = found
    accesses.show_permission(assignment.namespace_access)
    assignment.resource_version = str(row.version)
    return assignment


METHODS: Mapping[str, Method] = {
    "SetUserNamespaceAccess": Method(_set_user, at_namespace, changes=True),
    "SetUserGroupNamespaceAccess": Method(_set_group, at_namespace, changes=True),
    "SetServiceAccountNamespaceAccess": Method(_set_service_account, at_namespace, changes=True),
    "GetUserNamespaceAssignments": Method(_users, at_namespace),
    "GetServiceAccountNamespaceAssignments": Method(_service_accounts, at_namespace),
    "GetUserGroupNamespaceAssignments": Method(_groups, at_namespace),
}
