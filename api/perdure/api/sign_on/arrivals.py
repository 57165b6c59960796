"""Who somebody is whom a provider vouches for: a user of the connection's account, perhaps a new one; nobody else."""

from __future__ import annotations

from temporalio.api.cloud.identity.v1 import Access, AccountAccess, NamespaceAccess, UserSpec

from perdure.api.audit import records
from perdure.api.calls import ControlCall
from perdure.api.data.tables import ResourceRow
from perdure.api.resources import accesses, kinds, rows
from perdure.api.resources.endings import is_owners, vouches_for_owners
from perdure.api.resources.publishing import access_of, identity_of, publish_identity, set_access
from perdure.api.resources.user_states import DEACTIVATED, INVITATION, MADE_BY
from perdure.api.sign_on.asserted import Asserted
from perdure.api.sign_on.connections import spec_of
from perdure.api.sign_on.mapping import mapped
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.auth.policy.conditions import OWNERS_ROLES
from perdure.kernel.errors import ServiceError
from perdure.kernel.identity import Principal, PrincipalKind

_NO_ACCESS = "Your organisation's identity provider has not given you access to this account."
_CREATED = "CreateUserBySignOn"


async def arrive(call: ControlCall, connection: ResourceRow, asserted: Asserted) -> ResourceRow:
    """The user that he is from now on, with the access that follows from his groups.

    Raises:
        SignOnRefused: he is none, and becomes none.
    """
    user = await call.transaction.named(connection.account_id, kinds.USER, asserted.email)
    await _check(call, connection, asserted, user)
    access = mapped(spec_of(connection), asserted.groups)
    if user is None:
        assert access is not None
        return await _create(call, connection, asserted.email, access)
    await _renew(call, connection, user, access)
    return user


async def rehearse(call: ControlCall, connection: ResourceRow, asserted: Asserted) -> str:
    """Who would be let in, in words.

    Raises:
        SignOnRefused: nobody would be.
    """
    user = await call.transaction.named(connection.account_id, kinds.USER, asserted.email)
    await _check(call, connection, asserted, user)
    access = mapped(spec_of(connection), asserted.groups)
    if user is None:
        assert access is not None
        return f"{asserted.email} would become a user with {_in_words(access)}."
    if access is None or not spec_of(connection).group_mappings:
        return f"{asserted.email} would be let in as user {user.id}."
    if access_of(user).account_access.role == AccountAccess.ROLE_OWNER:
        return f"{asserted.email} would be let in as user {user.id}, who stays an owner."
    return f"{asserted.email} would be let in as user {user.id}, with {_in_words(access)}."


def _in_words(access: Access) -> str:
    said = [f"the account role {AccountAccess.Role.Name(access.account_access.role).removeprefix('ROLE_').lower()}"]
    said += [f"the custom role {role}" for role in access.account_access.custom_roles]
    for name, each in sorted(access.namespace_accesses.items()):
        permission = NamespaceAccess.Permission.Name(each.permission).removeprefix("PERMISSION_").lower()
        said.append(f"{permission} on {name}")
    return ", ".join(said)


async def _check(call: ControlCall, connection: ResourceRow, asserted: Asserted, user: ResourceRow | None) -> None:
    spec = spec_of(connection)
    if user is None and not spec.creates_users:
        raise SignOnRefused(
            f"{asserted.email} is no user of the account, and the connection makes no users.",
            "You are no user of this account: ask its administrators for an invitation.",
        )
    if user is not None and user.details.get(DEACTIVATED):
        raise SignOnRefused(f"{asserted.email} is deactivated by the account's identity provider.", _NO_ACCESS)
    # Without mappings, what a user may is decided here and not at the provider.
    access = mapped(spec, asserted.groups) if user is None or spec.group_mappings else accesses.NOTHING
    is_privileged = user is not None and is_owners(await identity_of(call.transaction, user))
    becomes_privileged = access is not None and not OWNERS_ROLES.isdisjoint(accesses.roles_of(access))
    if (is_privileged or becomes_privileged) and not vouches_for_owners(connection):
        raise SignOnRefused(
            f"{asserted.email} is or would be an owner or finance admin, and no owner has set up the connection.",
            "Owners and finance admins sign in with their password until an owner has set up this connection.",
        )
    if access is None:
        raise SignOnRefused(f"{asserted.email} is in no group that has access.", _NO_ACCESS)


async def _create(call: ControlCall, connection: ResourceRow, email: str, access: Access) -> ResourceRow:
    if await call.transaction.count(call.account_id, kinds.USER) >= call.limits.users_max:
        reason = "The account has as many users as it may have."
        raise SignOnRefused(reason, reason)
    try:
        spec = UserSpec(email=email, access=access)
        user = await rows.create(call, kinds.USER, call.new_id(), email, spec)
    except ServiceError as error:
        raise SignOnRefused(error.message) from None
    user.details = {MADE_BY: connection.id}
    await publish_identity(call.transaction, user)
    made = records.record(
        call.entropy,
        call.now_ns,
        call.account_id,
        _CREATED,
        records.OK,
        Principal(PrincipalKind.USER, user.id, email, call.account_id),
        details={"connectionId": connection.id, "resource": {"kind": user.kind, "id": user.id}},
        address=call.address,
    )
    await call.transaction.audit.add([made])
    return user


async def _renew(call: ControlCall, connection: ResourceRow, user: ResourceRow, access: Access | None) -> None:
    """What he may follows from his groups, if anything does; owners are made and unmade by owners only."""
    details = dict(user.details)
    if details.pop(INVITATION, None):
        # The invitation itself stays good: until he accepts it he is known here by the provider only.
        details[MADE_BY] = connection.id
    spec, is_owner = user.spec, access_of(user).account_access.role == AccountAccess.ROLE_OWNER
    if spec_of(connection).group_mappings and access is not None and not is_owner:
        spec = set_access(user, access)
    if (spec, details) == (user.spec, user.details):
        return
    user.spec, user.details = spec, details
    rows.touch(call, user)
    await publish_identity(call.transaction, user)
