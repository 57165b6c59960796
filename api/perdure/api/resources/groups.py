"""User groups: what is given to a group, all who are in it have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from temporalio.api.cloud.cloudservice.v1 import (
    AddUserGroupMemberRequest,
    AddUserGroupMemberResponse,
    CreateUserGroupRequest,
    CreateUserGroupResponse,
    DeleteUserGroupRequest,
    DeleteUserGroupResponse,
    GetUserGroupMembersRequest,
    GetUserGroupMembersResponse,
    GetUserGroupRequest,
    GetUserGroupResponse,
    GetUserGroupsRequest,
    GetUserGroupsResponse,
    RemoveUserGroupMemberRequest,
    RemoveUserGroupMemberResponse,
    UpdateUserGroupRequest,
    UpdateUserGroupResponse,
)
from temporalio.api.cloud.identity.v1 import Access, UserGroup, UserGroupMember, UserGroupSpec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import MemberRow, ResourceRow
from perdure.api.resources import accesses, emails, kinds, names, rows
from perdure.api.resources.paging import page, pages
from perdure.api.resources.publishing import access_of, is_provisioned, publish_group, publish_identity
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound

_FIELD = "group_id"
_NAME = re.compile(r"[a-z0-9_-]{3,64}")
#: Groups whose members are decided on elsewhere.
_ELSEWHERE = ("google_group", "scim_group")


async def _create(call: ControlCall, request: CreateUserGroupRequest) -> CreateUserGroupResponse:
    if request.spec.HasField("scim_group"):
        raise InvalidArgument("spec.scim_group: such groups are made by the identity provider.")
    spec = _checked(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.USER_GROUP) >= call.limits.groups_max:
        raise rows.too_many(call.limits, "groups_max", "too many user groups")
    row = await rows.create(call, kinds.USER_GROUP, call.new_id(), spec.display_name, spec)
    return CreateUserGroupResponse(group_id=row.id)


async def _get(call: ControlCall, request: GetUserGroupRequest) -> GetUserGroupResponse:
    return GetUserGroupResponse(group=shown(await rows.find(call, kinds.USER_GROUP, request.group_id, field=_FIELD)))


async def _list(call: ControlCall, request: GetUserGroupsRequest) -> GetUserGroupsResponse:
    def wanted(row: ResourceRow) -> bool:
        spec = rows.spec_of(row, UserGroupSpec)
        return (
            request.display_name in ("", spec.display_name)
            and (not request.namespace or request.namespace in spec.access.namespace_accesses)
            and (
                not request.HasField("google_group")
                or request.google_group.email_address == spec.google_group.email_address
            )
            and (not request.HasField("scim_group") or request.scim_group.idp_id == spec.scim_group.idp_id)
        )

    found, token = await page(call, request, kinds.USER_GROUP, wanted)
    return GetUserGroupsResponse(groups=[shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateUserGroupRequest) -> UpdateUserGroupResponse:
    row = await rows.find(call, kinds.USER_GROUP, request.group_id, field=_FIELD)
    spec, before = _checked(call, request.spec), rows.spec_of(row, UserGroupSpec)
    kind = before.WhichOneof("group_type")
    if spec.WhichOneof("group_type") != kind or (kind in _ELSEWHERE and getattr(spec, kind) != getattr(before, kind)):
        raise InvalidArgument("spec.group_type: cannot be changed.")
    if kind == "scim_group" and spec.display_name != before.display_name:
        raise FailedPrecondition("spec.display_name: the group belongs to the identity provider: rename it there.")
    await names.rename(call, row, spec.display_name)
    rows.change(call, row, request.resource_version, spec)
    await publish_group(call.transaction, row.id)
    return UpdateUserGroupResponse()


async def _delete(call: ControlCall, request: DeleteUserGroupRequest) -> DeleteUserGroupResponse:
    row = await rows.find(call, kinds.USER_GROUP, request.group_id, field=_FIELD)
    if is_provisioned(row):
        raise FailedPrecondition("The group belongs to the identity provider: delete it there.")
    await remove(call, row, request.resource_version)
    return DeleteUserGroupResponse()


async def remove(call: ControlCall, row: ResourceRow, resource_version: str | None) -> None:
    """Nobody has what it was given any more. A version of None is not asked for. Raises what `rows.delete` does."""
    members = await call.transaction.members(row.id)
    for member in members:
        await call.transaction.remove(member)
    await rows.delete(call, row, resource_version)
    for member in members:
        user = await call.transaction.resource(kinds.USER, member.user_id)
        if user is not None:
            await publish_identity(call.transaction, user)


async def _add_member(call: ControlCall, request: AddUserGroupMemberRequest) -> AddUserGroupMemberResponse:
    group, user = await _both(call, request)
    if await call.transaction.member(group.id, user.id) is not None:
        raise AlreadyExists(f"member_id.user_id: {user.id} is in the group already.")
    if len(await call.transaction.members(group.id)) >= call.limits.group_members_max:
        raise rows.too_many(call.limits, "group_members_max", "too many members")
    call.transaction.add(MemberRow(group_id=group.id, user_id=user.id, created_at_ns=call.now_ns))
    call.changed = group
    await publish_identity(call.transaction, user)
    return AddUserGroupMemberResponse()


async def _remove_member(call: ControlCall, request: RemoveUserGroupMemberRequest) -> RemoveUserGroupMemberResponse:
    group, user = await _both(call, request)
    member = await call.transaction.member(group.id, user.id)
    if member is None:
        raise NotFound(f"member_id.user_id: {user.id} is not in the group.")
    await call.transaction.remove(member)
    call.changed = group
    await publish_identity(call.transaction, user)
    return RemoveUserGroupMemberResponse()


async def _both(
    call: ControlCall, request: AddUserGroupMemberRequest | RemoveUserGroupMemberRequest
) -> tuple[ResourceRow, ResourceRow]:
    group = await rows.find(call, kinds.USER_GROUP, request.group_id, field=_FIELD)
    if rows.spec_of(group, UserGroupSpec).WhichOneof("group_type") in _ELSEWHERE:
        raise FailedPrecondition("Who is in the group is decided by the identity provider.")
    return group, await rows.find(call, kinds.USER, request.member_id.user_id, field="member_id.user_id")


async def _members(call: ControlCall, request: GetUserGroupMembersRequest) -> GetUserGroupMembersResponse:
    group = await rows.find(call, kinds.USER_GROUP, request.group_id, field=_FIELD)

    async def read(after: str, limit: int) -> Sequence[MemberRow]:
        return await call.transaction.members(group.id, after, limit)

    size = rows.page_size(request)
    found, token = await pages(call, request, read, lambda member: member.user_id, lambda member: True, size)
    response = GetUserGroupMembersResponse(next_page_token=token)
    for member in found:
        shown_member = UserGroupMember()
        shown_member.member_id.user_id = member.user_id
        shown_member.created_time.FromNanoseconds(member.created_at_ns)
        response.members.append(shown_member)
    return response


def shown(row: ResourceRow) -> UserGroup:
    result = UserGroup(spec=rows.spec_of(row, UserGroupSpec))
    accesses.show(result.spec.access)
    rows.show(row, result)
    return result


def _checked(call: ControlCall, spec: UserGroupSpec) -> UserGroupSpec:
    # Identity providers have names of their own.
    if not spec.HasField("scim_group") and not _NAME.fullmatch(spec.display_name):
        raise InvalidArgument("spec.display_name: must have 3 to 64 characters of a-z 0-9 _ -.")
    result = UserGroupSpec(display_name=spec.display_name)
    maximum = call.limits.custom_roles_per_principal_max
    result.access.CopyFrom(accesses.checked(spec.access, call.account_id, custom_roles_max=maximum))
    match spec.WhichOneof("group_type"):
        case "google_group":
            emails.check(spec.google_group.email_address, "spec.google_group.email_address")
            result.google_group.CopyFrom(spec.google_group)
        case "scim_group":
            result.scim_group.CopyFrom(spec.scim_group)
        case _:
            result.cloud_group.SetInParent()
    return result


async def _at_new(call: ControlCall, request: CreateUserGroupRequest) -> Target:
    return accesses.target_of_change(call.account_id, accesses.NOTHING, accesses.lenient(request.spec.access))


async def _at_changed(call: ControlCall, request: UpdateUserGroupRequest) -> Target:
    before = await _access(call, request.group_id)
    return accesses.target_of_change(call.account_id, before, accesses.lenient(request.spec.access))


async def _at_taken(
    call: ControlCall, request: DeleteUserGroupRequest | AddUserGroupMemberRequest | RemoveUserGroupMemberRequest
) -> Target:
    """All that the group has is given or taken."""
    return accesses.target_of_change(call.account_id, await _access(call, request.group_id), accesses.NOTHING)


async def _access(call: ControlCall, group_id: str) -> Access:
    row = await call.transaction.resource(kinds.USER_GROUP, group_id)
    return access_of(row) if row is not None and row.account_id == call.account_id else accesses.NOTHING


METHODS: Mapping[str, Method] = {
    "CreateUserGroup": Method(_create, _at_new, changes=True),
    "GetUserGroup": Method(_get, at_account),
    "GetUserGroups": Method(_list, at_account),
    "UpdateUserGroup": Method(_update, _at_changed, changes=True),
    "DeleteUserGroup": Method(_delete, _at_taken, changes=True),
    "AddUserGroupMember": Method(_add_member, _at_taken, changes=True),
    "RemoveUserGroupMember": Method(_remove_member, _at_taken, changes=True),
    "GetUserGroupMembers": Method(_members, at_account),
}
