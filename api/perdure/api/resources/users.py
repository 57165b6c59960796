"""Users: people in an account. Who they are elsewhere, and how they prove it, is `perdure.api.people`'s."""

from __future__ import annotations

from collections.abc import Mapping

from temporalio.api.cloud.cloudservice.v1 import (
    CreateUserRequest,
    CreateUserResponse,
    DeleteUserRequest,
    DeleteUserResponse,
    GetUserRequest,
    GetUserResponse,
    GetUsersRequest,
    GetUsersResponse,
    UpdateUserRequest,
    UpdateUserResponse,
)
from temporalio.api.cloud.identity.v1 import Access, AccountAccess, User, UserSpec
from temporalio.api.cloud.resource.v1 import ResourceState

from perdure.api.calls import ControlCall, Method, at_account
from perdure.api.data.tables import ResourceRow
from perdure.api.people import invitations
from perdure.api.resources import accesses, api_keys, emails, kinds, rows
from perdure.api.resources.endings import end_all
from perdure.api.resources.paging import page
from perdure.api.resources.publishing import access_of, groups_of, publish_identity
from perdure.api.resources.user_states import DEACTIVATED, INVITATION, MADE_BY, is_active
from perdure.auth.policy.grants import Target
from perdure.kernel.errors import FailedPrecondition, InvalidArgument

_FIELD = "user_id"


async def _create(call: ControlCall, request: CreateUserRequest) -> CreateUserResponse:
    spec = _checked(call, request.spec)
    if await call.transaction.count(call.account_id, kinds.USER) >= call.limits.users_max:
        raise rows.too_many(call.limits, "users_max", "too many users")
    row = await rows.create(call, kinds.USER, call.new_id(), spec.email, spec)
    await invitations.invite(call, row)
    await publish_identity(call.transaction, row)
    return CreateUserResponse(user_id=row.id)


async def _get(call: ControlCall, request: GetUserRequest) -> GetUserResponse:
    return GetUserResponse(user=shown(await rows.find(call, kinds.USER, request.user_id, field=_FIELD)))


async def _list(call: ControlCall, request: GetUsersRequest) -> GetUsersResponse:
    email = emails.folded(request.email)

    def wanted(row: ResourceRow) -> bool:
        spec = rows.spec_of(row, UserSpec)
        return email in ("", row.name) and (
            not request.namespace or request.namespace in spec.access.namespace_accesses
        )

    found, token = await page(call, request, kinds.USER, wanted)
    return GetUsersResponse(users=[shown(row) for row in found], next_page_token=token)


async def _update(call: ControlCall, request: UpdateUserRequest) -> UpdateUserResponse:
    row = await rows.find(call, kinds.USER, request.user_id, field=_FIELD)
    spec = _checked(call, request.spec)
    if spec.email != row.name:
        raise InvalidArgument("spec.email: cannot be changed.")
    await check_owner_remains(call, row, spec.access.account_access.role)
    rows.change(call, row, request.resource_version, spec)
    await publish_identity(call.transaction, row)
    return UpdateUserResponse()


async def _delete(call: ControlCall, request: DeleteUserRequest) -> DeleteUserResponse:
    row = await rows.find(call, kinds.USER, request.user_id, field=_FIELD)
    await remove(call, row, request.resource_version)
    return DeleteUserResponse()


async def remove(call: ControlCall, row: ResourceRow, resource_version: str | None) -> None:
    """With his keys and sessions. A version of None is not asked for. Raises what `rows.delete` does, and
    FailedPrecondition: nobody would be left who owns the account.
    """
    await check_owner_remains(call, row, AccountAccess.ROLE_UNSPECIFIED)
    await api_keys.remove_all(call, row)
    await call.transaction.leave_groups(row.id)
    await invitations.withdraw(call.transaction, row)
    await end_all(call.transaction, await call.transaction.people.sessions(user_id=row.id))
    await rows.delete(call, row, resource_version)
    call.transaction.withdraw("principal", row.id)


async def check_owner_remains(call: ControlCall, row: ResourceRow, role: int) -> None:
    """Raises FailedPrecondition: nobody would be left who owns the account."""
    if role == AccountAccess.ROLE_OWNER or access_of(row).account_access.role != AccountAccess.ROLE_OWNER:
        return
    for other in await call.transaction.resources(call.account_id, kinds.USER):
        is_owner = access_of(other).account_access.role == AccountAccess.ROLE_OWNER
        # Who is known by a provider only cannot come in when it is away.
        has_a_login = is_active(other) and not other.details.get(MADE_BY)
        if other.id != row.id and is_owner and has_a_login:
            return
    raise FailedPrecondition("An account needs an owner: make somebody else one first.")


def shown(row: ResourceRow) -> User:
    result = User(spec=rows.spec_of(row, UserSpec))
    accesses.show(result.spec.access)
    rows.show(row, result)
    if row.details.get(DEACTIVATED):
        result.state = ResourceState.RESOURCE_STATE_SUSPENDED
        result.state_deprecated = rows.state_name(result.state)
    if invitation := row.details.get(INVITATION):
        result.invitation.created_time.FromNanoseconds(invitation["created_at_ns"])
        result.invitation.expired_time.FromNanoseconds(invitation["expires_at_ns"])
    return result


def _checked(call: ControlCall, spec: UserSpec) -> UserSpec:
    emails.check(spec.email, "spec.email")
    result = UserSpec(email=emails.folded(spec.email))
    maximum = call.limits.custom_roles_per_principal_max
    result.access.CopyFrom(accesses.checked(spec.access, call.account_id, custom_roles_max=maximum))
    return result


async def _at_new(call: ControlCall, request: CreateUserRequest) -> Target:
    return accesses.target_of_change(call.account_id, accesses.NOTHING, accesses.lenient(request.spec.access))


async def _at_changed(call: ControlCall, request: UpdateUserRequest) -> Target:
    row = await call.transaction.resource(kinds.USER, request.user_id)
    return accesses.target_of_change(call.account_id, _access(call, row), accesses.lenient(request.spec.access))


async def _at_deleted(call: ControlCall, request: DeleteUserRequest) -> Target:
    """He loses what he has by his groups as well."""
    row = await call.transaction.resource(kinds.USER, request.user_id)
    if row is None or row.account_id != call.account_id:
        return Target(call.account_id)
    held = [access_of(each) for each in (row, *await groups_of(call.transaction, row))]
    return accesses.target_of_loss(call.account_id, held)


def _access(call: ControlCall, row: ResourceRow | None) -> Access:
    return access_of(row) if row is not None and row.account_id == call.account_id else accesses.NOTHING


METHODS: Mapping[str, Method] = {
    "CreateUser": Method(_create, _at_new, changes=True),
    "GetUser": Method(_get, at_account),
    "GetUsers": Method(_list, at_account),
    "UpdateUser": Method(_update, _at_changed, changes=True),
    "DeleteUser": Method(_delete, _at_deleted, changes=True),
}
