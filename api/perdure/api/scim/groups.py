"""Groups of an identity provider: user groups that CloudService gives roles to, and cannot change otherwise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from temporalio.api.cloud.identity.v1 import UserGroupSpec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import MemberRow, ResourceRow
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.resources import groups, kinds, names, rows
from perdure.api.resources.publishing import is_provisioned, publish_identity
from perdure.api.scim import bodies, users, views
from perdure.api.scim.errors import INVALID_VALUE, BadScim
from perdure.api.scim.filters import attributes_of
from perdure.api.scim.patch import apply
from perdure.api.scim.views import Shown
from perdure.kernel.errors import NotFound

SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
KIND: Final = "Group"
_EXTERNAL_ID: Final = "external_id"
_MEMBERS: Final = "members"


async def _create(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    given = bodies.attributes_in(bodies.decode(request.scim_body), bodies.GROUP)
    _check(given)
    if await call.transaction.count(call.account_id, kinds.USER_GROUP) >= call.limits.groups_max:
        raise rows.too_many(call.limits, "groups_max", "too many user groups")
    group_id = call.new_id()
    row = await rows.create(
        call,
        kinds.USER_GROUP,
        group_id,
        given["displayName"],
        _spec(UserGroupSpec(), group_id, given),
        what="group",
        **{_EXTERNAL_ID: given.get("externalId", "")},
    )
    await _set_members(call, row, [], given)
    _note(call, row)
    return views.one(await _shown(call, row, request), request, created=True)


async def _get(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    return views.one(await _shown(call, await _find(call, request.id), request), request)


async def _list(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    wanted = views.filter_of(request)
    every = [row for row in await call.transaction.resources(call.account_id, kinds.USER_GROUP) if is_provisioned(row)]
    looks_at_members = wanted is not None and _MEMBERS in attributes_of(wanted)
    found = views.matching(every, await _shower(call, every, request, needs_members=looks_at_members), wanted)
    shown = views.on_page(found, request)
    show = await _shower(call, shown, request, needs_members=views.wants(request, _MEMBERS))
    return views.page([show(row) for row in shown], len(found), request)


async def _replace(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await _find(call, request.id)
    views.check_version(row, request)
    given = bodies.attributes_in(bodies.decode(request.scim_body), bodies.GROUP)
    await _change(call, row, await _attributes(call, row), given)
    return views.one(await _shown(call, row, request), request)


async def _patch(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await _find(call, request.id)
    views.check_version(row, request)
    before = await _attributes(call, row)
    changed = apply(before, bodies.decode(request.scim_body), bodies.GROUP)
    await _change(call, row, before, bodies.attributes_in(changed, bodies.GROUP))
    return views.one(await _shown(call, row, request), request)


async def _delete(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await _find(call, request.id)
    views.check_version(row, request)
    _note(call, row)
    await groups.remove(call, row, None)
    return views.nothing()


async def _find(call: ControlCall, group_id: str) -> ResourceRow:
    """Raises NotFound: the identity provider has no such group here. Those of others are none of its business."""
    row = await rows.find(call, kinds.USER_GROUP, group_id, field="id")
    if not is_provisioned(row):
        raise NotFound(f"id: {kinds.USER_GROUP} {group_id} is not found.")
    return row


async def _change(call: ControlCall, row: ResourceRow, before: Shown, given: Mapping[str, Any]) -> None:
    _check(given)
    if given == before:
        return
    await names.rename(call, row, given["displayName"])
    spec = _spec(rows.spec_of(row, UserGroupSpec), row.id, given)
    row.spec = spec.SerializeToString(deterministic=True)
    row.details = {**row.details, _EXTERNAL_ID: given.get("externalId", "")}
    rows.touch(call, row)
    await _set_members(call, row, before.get(_MEMBERS, []), given)
    _note(call, row)


async def _set_members(call: ControlCall, row: ResourceRow, before: Sequence[Shown], given: Mapping[str, Any]) -> None:
    held = {each["value"] for each in before}
    wanted = {each["value"] for each in given.get(_MEMBERS, [])}
    if len(wanted) > call.limits.group_members_max:
        raise rows.too_many(call.limits, "group_members_max", "too many members")
    added, gone = sorted(wanted - held), sorted(held - wanted)
    # To be found one by one below, without another question each.
    involved = await call.transaction.resources_by_id(kinds.USER, [*gone, *added])
    for user_id in gone:
        if (member := await call.transaction.member(row.id, user_id)) is not None:
            await call.transaction.remove(member)
    for user_id in added:
        await _check_user(call, user_id)
        call.transaction.add(MemberRow(group_id=row.id, user_id=user_id, created_at_ns=call.now_ns))
    for user in involved:
        await publish_identity(call.transaction, user)
    if added or gone:
        call.notes.update({"added": _listed(added), "removed": _listed(gone)})


async def _check_user(call: ControlCall, user_id: str) -> None:
    try:
        await users.find(call, user_id)
    except NotFound:
        raise BadScim(INVALID_VALUE, f"members: user {user_id} is not found.") from None


def _check(given: Mapping[str, Any]) -> None:
    name = given.get("displayName", "")
    if not name.strip():
        raise BadScim(INVALID_VALUE, "displayName: must be given.")


def _spec(spec: UserGroupSpec, group_id: str, given: Mapping[str, Any]) -> UserGroupSpec:
    spec.display_name = given["displayName"]
    spec.scim_group.idp_id = given.get("externalId", "") or group_id
    return spec


def _note(call: ControlCall, row: ResourceRow) -> None:
    call.notes["displayName"] = row.name


def _listed(user_ids: Sequence[str]) -> str:
    return " ".join(user_ids)


async def _attributes(call: ControlCall, row: ResourceRow) -> Shown:
    found: Shown = {"displayName": row.name}
    if external_id := row.details.get(_EXTERNAL_ID):
        found["externalId"] = external_id
    if members := await call.transaction.members(row.id):
        found[_MEMBERS] = [{"value": member.user_id} for member in members]
    return found


async def _shown(call: ControlCall, row: ResourceRow, request: api.ScimRequest) -> Shown:
    return (await _shower(call, [row], request, needs_members=views.wants(request, _MEMBERS)))(row)


async def _shower(
    call: ControlCall, found: Sequence[ResourceRow], request: api.ScimRequest, *, needs_members: bool
) -> Callable[[ResourceRow], Shown]:
    members: dict[str, list[Shown]] = {}
    if needs_members:
        for member in await call.transaction.members_of([row.id for row in found]):
            user = {"value": member.user_id, "$ref": f"{request.base}/Users/{member.user_id}", "type": "User"}
            members.setdefault(member.group_id, []).append(user)

    def show(row: ResourceRow) -> Shown:
        shown: Shown = {"schemas": [SCHEMA], "id": row.id, "displayName": row.name}
        if external_id := row.details.get(_EXTERNAL_ID):
            shown["externalId"] = external_id
        if row.id in members:
            shown[_MEMBERS] = members[row.id]
        return {**shown, "meta": views.meta_of(row, KIND, request.base)}

    return show


METHODS: Mapping[str, Method] = {
    "ScimGetGroups": Method(_list, at_account),
    "ScimGetGroup": Method(_get, at_account),
    "ScimCreateGroup": Method(_create, at_account, changes=True),
    "ScimReplaceGroup": Method(_replace, at_account, changes=True),
    "ScimPatchGroup": Method(_patch, at_account, changes=True),
    "ScimDeleteGroup": Method(_delete, at_account, changes=True),
}
