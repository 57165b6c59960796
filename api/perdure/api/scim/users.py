"""Users of an account, as an identity provider sees and changes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from temporalio.api.cloud.identity.v1 import AccountAccess, UserGroupSpec, UserSpec

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.protos import provisioning_pb2 as api
from perdure.api.resources import emails, kinds, rows, users
from perdure.api.resources.accesses import roles_of
from perdure.api.resources.endings import end_all
from perdure.api.resources.publishing import access_of, groups_of, is_provisioned, publish_identity
from perdure.api.resources.user_states import DEACTIVATED, INVITATION, MADE_BY, is_active
from perdure.api.scim import bodies, views
from perdure.api.scim.errors import INVALID_VALUE, MUTABILITY, BadScim
from perdure.api.scim.filters import Compare, Filter, attributes_of
from perdure.api.scim.patch import apply
from perdure.api.scim.views import Shown
from perdure.auth.policy.grants import AccountRole
from perdure.kernel.errors import AlreadyExists, InvalidArgument, PermissionDenied

SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
KIND: Final = "User"
#: In the details of a user: what the identity provider says of him that we have no use for ourselves.
_SAID: Final = "provisioned"
_GROUPS: Final = "groups"


async def _create(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    given = bodies.attributes_in(bodies.decode(request.scim_body), bodies.USER)
    email = _address(given)
    if await call.transaction.named(call.account_id, kinds.USER, email) is not None:
        raise AlreadyExists(f"userName: user {email} exists already.")
    if await call.transaction.count(call.account_id, kinds.USER) >= call.limits.users_max:
        raise rows.too_many(call.limits, "users_max", "too many users")
    spec = UserSpec(email=email)
    # What more he may do follows from his groups.
    spec.access.account_access.role = AccountAccess.ROLE_READ
    # He has not said yes himself: whoever has a login with this address is somebody else until then.
    details: dict[str, Any] = {
        _SAID: _said(given),
        DEACTIVATED: not given.get("active", True),
        MADE_BY: call.principal.id,
    }
    row = await rows.create(call, kinds.USER, call.new_id(), email, spec, **details)
    _note(call, row)
    await publish_identity(call.transaction, row)
    return views.one(await _shown(call, row, request), request, created=True)


async def _get(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    return views.one(await _shown(call, await find(call, request.id), request), request)


async def _list(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    wanted = views.filter_of(request)
    found = await _candidates(call, wanted)
    looks_at_groups = wanted is not None and _GROUPS in attributes_of(wanted)
    found = views.matching(found, await _shower(call, found, request, needs_groups=looks_at_groups), wanted)
    shown = views.on_page(found, request)
    show = await _shower(call, shown, request, needs_groups=views.wants(request, _GROUPS))
    return views.page([show(row) for row in shown], len(found), request)


async def _replace(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await find(call, request.id)
    views.check_version(row, request)
    given = bodies.attributes_in(bodies.decode(request.scim_body), bodies.USER)
    # What is not said of him stays: nobody is let in again because that was left out.
    await _change(call, row, {"active": is_active(row), **given})
    return views.one(await _shown(call, row, request), request)


async def _patch(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await find(call, request.id)
    views.check_version(row, request)
    changed = apply(_attributes(row), bodies.decode(request.scim_body), bodies.USER)
    if "active" not in changed:
        raise BadScim(MUTABILITY, "active: cannot be removed, but is true or false.")
    await _change(call, row, bodies.attributes_in(changed, bodies.USER))
    return views.one(await _shown(call, row, request), request)


async def _delete(call: ControlCall, request: api.ScimRequest) -> api.ScimResponse:
    row = await find(call, request.id)
    views.check_version(row, request)
    await _refuse_owner(call, row)
    _note(call, row)
    await users.remove(call, row, None)
    return views.nothing()


async def find(call: ControlCall, user_id: str, field: str = "id") -> ResourceRow:
    """Raises NotFound: the account has no such user."""
    return await rows.find(call, kinds.USER, user_id, field=field)


async def _change(call: ControlCall, row: ResourceRow, given: Mapping[str, Any]) -> None:
    if _address(given) != row.name:
        raise BadScim(MUTABILITY, "userName: cannot be changed. Delete the user, and create one with the new address.")
    said, active = _said(given), given["active"]
    if said == row.details.get(_SAID, {}) and active == is_active(row):
        return
    await _refuse_owner(call, row)
    details = {**row.details, _SAID: said}
    if active:
        details[DEACTIVATED] = False
        if details.pop(INVITATION, None):
            # The invitation itself stays good: until he accepts it he is known here by a provider only.
            details[MADE_BY] = call.principal.id
    elif is_active(row):
        details[DEACTIVATED] = True
        await end_all(call.transaction, await call.transaction.people.sessions(user_id=row.id))
    row.details = details
    rows.touch(call, row)
    _note(call, row)
    await publish_identity(call.transaction, row)


async def _refuse_owner(call: ControlCall, row: ResourceRow) -> None:
    # Who is in the identity provider's own groups it decides in any case.
    groups = [group for group in await groups_of(call.transaction, row) if not is_provisioned(group)]
    if AccountRole.OWNER in roles_of(*(access_of(each) for each in (row, *groups))):
        raise PermissionDenied(f"{row.name} owns the account: owners are not changed by the identity provider.")


def _address(given: Mapping[str, Any]) -> str:
    """By which he is known everywhere. Raises BadScim: there is none."""
    name = given.get("userName", "")
    try:
        emails.check(name, "userName")
    except InvalidArgument as error:
        raise BadScim(INVALID_VALUE, error.message) from None
    return emails.folded(name)


def _said(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name not in ("userName", "active")}


def _note(call: ControlCall, row: ResourceRow) -> None:
    call.notes.update({"userName": row.name, "active": str(is_active(row)).lower()})


def _attributes(row: ResourceRow) -> Shown:
    return {"userName": row.name, **row.details.get(_SAID, {}), "active": is_active(row)}


async def _candidates(call: ControlCall, wanted: Filter | None) -> Sequence[ResourceRow]:
    """Those among which the filter looks. That for one address is what identity providers ask most of all."""
    if isinstance(wanted, Compare) and (wanted.path.attribute, wanted.operator) == ("username", "eq"):
        row = await call.transaction.named(call.account_id, kinds.USER, emails.folded(str(wanted.value)))
        return [row] if row is not None else []
    return await call.transaction.resources(call.account_id, kinds.USER)


async def _shown(call: ControlCall, row: ResourceRow, request: api.ScimRequest) -> Shown:
    return (await _shower(call, [row], request, needs_groups=views.wants(request, _GROUPS)))(row)


async def _shower(
    call: ControlCall, found: Sequence[ResourceRow], request: api.ScimRequest, *, needs_groups: bool
) -> Callable[[ResourceRow], Shown]:
    groups: dict[str, list[Shown]] = {}
    if needs_groups:
        groups = await _groups(call, found, request.base)

    def show(row: ResourceRow) -> Shown:
        mine = {_GROUPS: groups[row.id]} if row.id in groups else {}
        return {
            "schemas": [SCHEMA],
            "id": row.id,
            **_attributes(row),
            "emails": [{"value": row.name, "type": "work", "primary": True}],
            **mine,
            "meta": views.meta_of(row, KIND, request.base),
        }

    return show


async def _groups(call: ControlCall, found: Sequence[ResourceRow], base: str) -> dict[str, list[Shown]]:
    """Those of each user, by his id."""
    names = {
        row.id: rows.spec_of(row, UserGroupSpec).display_name
        for row in await call.transaction.resources(call.account_id, kinds.USER_GROUP)
    }
    groups: dict[str, list[Shown]] = {}
    for member in await call.transaction.memberships([row.id for row in found]):
        group = {"value": member.group_id, "$ref": f"{base}/Groups/{member.group_id}", "type": "direct"}
        groups.setdefault(member.user_id, []).append({**group, "display": names.get(member.group_id, "")})
    return groups


METHODS: Mapping[str, Method] = {
    "ScimGetUsers": Method(_list, at_account),
    "ScimGetUser": Method(_get, at_account),
    "ScimCreateUser": Method(_create, at_account, changes=True),
    "ScimReplaceUser": Method(_replace, at_account, changes=True),
    "ScimPatchUser": Method(_patch, at_account, changes=True),
    "ScimDeleteUser": Method(_delete, at_account, changes=True),
}
