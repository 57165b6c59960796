"""Custom roles: what a built-in role does not have, for some resources. They are about the control plane only."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.cloudservice.v1 import (
    CreateCustomRoleRequest,
    CreateCustomRoleResponse,
    DeleteCustomRoleRequest,
    DeleteCustomRoleResponse,
    GetCustomRoleRequest,
    GetCustomRoleResponse,
    GetCustomRolesRequest,
    GetCustomRolesResponse,
    UpdateCustomRoleRequest,
    UpdateCustomRoleResponse,
)
from temporalio.api.cloud.identity.v1 import CustomRole, CustomRoleSpec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import kinds, names, rows
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of, publish_all
from perdure.auth.policy.grants import AccountRole, ResourceKind, Target
from perdure.kernel.errors import FailedPrecondition, InvalidArgument, PermissionDenied

PERMISSIONS_MAX = 20
RESOURCES_MAX = 100

_FIELD = "role_id"
#: Who may let roles gain permissions.
_MAKERS = frozenset({AccountRole.OWNER, AccountRole.ADMIN})
_HOLDERS = (kinds.USER, kinds.USER_GROUP, kinds.SERVICE_ACCOUNT)


async def _create(call: ControlCall, request: CreateCustomRoleRequest) -> CreateCustomRoleResponse:
    _check(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.CUSTOM_ROLE) >= call.limits.custom_roles_max:
        raise rows.too_many(call.limits, "custom_roles_max", "too many custom roles")
    row = await rows.create(call, kinds.CUSTOM_ROLE, call.new_id(), request.spec.name, request.spec)
    return CreateCustomRoleResponse(role_id=row.id)


async def _get(call: ControlCall, request: GetCustomRoleRequest) -> GetCustomRoleResponse:
    row = await rows.find(call, kinds.CUSTOM_ROLE, request.role_id, field=_FIELD)
    return GetCustomRoleResponse(custom_role=_shown(row))


async def _list(call: ControlCall, request: GetCustomRolesRequest) -> GetCustomRolesResponse:
    found, token = await page(call, request, kinds.CUSTOM_ROLE)
    return GetCustomRolesResponse(custom_roles=[_shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateCustomRoleRequest) -> UpdateCustomRoleResponse:
    row = await rows.find(call, kinds.CUSTOM_ROLE, request.role_id, field=_FIELD)
    _check(call, request.spec)
    if not call.grants.roles & _MAKERS and not _allowed(request.spec) <= _allowed(rows.spec_of(row, CustomRoleSpec)):
        # Or else it would be a role for everything, as it can be the caller's own.
        raise PermissionDenied("UpdateCustomRole: through a custom role, roles can lose permissions and not gain any.")
    await names.rename(call, row, request.spec.name)
    rows.change(call, row, request.resource_version, request.spec)
    await publish_all(call.transaction, call.account_id)
    return UpdateCustomRoleResponse()


async def _delete(call: ControlCall, request: DeleteCustomRoleRequest) -> DeleteCustomRoleResponse:
    row = await rows.find(call, kinds.CUSTOM_ROLE, request.role_id, field=_FIELD)
    for kind in _HOLDERS:
        for holder in await call.transaction.resources(call.account_id, kind):
            if row.id in access_of(holder).account_access.custom_roles:
                raise FailedPrecondition(f"{kind} {holder.name} has the role: take it away first.")
    await rows.delete(call, row, request.resource_version)
    return DeleteCustomRoleResponse()


def _shown(row: ResourceRow) -> CustomRole:
    result = CustomRole(spec=rows.spec_of(row, CustomRoleSpec))
    rows.show(row, result)
    return result


def _check(call: ControlCall, spec: CustomRoleSpec) -> None:
    names.check(spec.name, "spec.name")
    names.check_description(spec.description, "spec.description")
    if not 0 < len(spec.permissions) <= PERMISSIONS_MAX:
        raise InvalidArgument(f"spec.permissions: must be 1 to {PERMISSIONS_MAX}.")
    for number, permission in enumerate(spec.permissions):
        field = f"spec.permissions[{number}]"
        resources = permission.resources
        kinds_known = [each.value for each in ResourceKind]
        if resources.resource_type not in kinds_known:
            raise InvalidArgument(f"{field}.resources.resource_type: must be one of {', '.join(kinds_known)}.")
        if bool(resources.resource_ids) == resources.allow_all:
            raise InvalidArgument(f"{field}.resources: needs either resource_ids or allow_all.")
        if len(resources.resource_ids) > RESOURCES_MAX:
            raise InvalidArgument(f"{field}.resources.resource_ids: at most {RESOURCES_MAX}.")
        known = call.policy.actions(ResourceKind(resources.resource_type))
        if not permission.actions:
            raise InvalidArgument(f"{field}.actions: must be given.")
        for action in permission.actions:
            if action not in known:
                raise InvalidArgument(f"{field}.actions: {action} is no action on a {resources.resource_type}.")


def _allowed(spec: CustomRoleSpec) -> set[tuple[str, str, str]]:
    """The type of a resource, its id or empty for all, and the action."""
    return {
        (permission.resources.resource_type, resource, action)
        for permission in spec.permissions
        for resource in (*permission.resources.resource_ids, *([""] if permission.resources.allow_all else []))
        for action in permission.actions
    }


async def _at_role(
    call: ControlCall, request: GetCustomRoleRequest | UpdateCustomRoleRequest | DeleteCustomRoleRequest
) -> Target:
    return Target(call.account_id, resource_id=request.role_id)


METHODS: Mapping[str, Method] = {
    "CreateCustomRole": Method(_create, at_account, changes=True),
    "GetCustomRole": Method(_get, _at_role),
    "GetCustomRoles": Method(_list, at_account),
    "UpdateCustomRole": Method(_update, _at_role, changes=True),
    "DeleteCustomRole": Method(_delete, _at_role, changes=True),
}
