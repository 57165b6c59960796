"""What gateways are told of identities and namespaces, whenever something changes that they decide by."""

from __future__ import annotations

from collections.abc import Iterable

from temporalio.api.cloud.identity.v1 import (
    Access,
    CustomRoleSpec,
    NamespaceAccess,
    ServiceAccountSpec,
    UserGroupSpec,
    UserSpec,
)

from perdure.api.data import Transaction
from perdure.api.data.tables import ResourceRow
from perdure.api.protos.sign_on_pb2 import SignOnConnectionSpec
from perdure.api.resources import kinds
from perdure.api.resources.accesses import permissions_of, roles_of
from perdure.api.resources.endings import end_by_password, end_unvouched
from perdure.api.resources.rows import spec_of
from perdure.api.resources.user_states import is_active
from perdure.auth.access.records import CustomPermissionRecord, PrincipalRecord
from perdure.auth.policy.grants import ResourceKind
from perdure.kernel.identity import PrincipalKind
from perdure.kernel.ids import NamespaceName

_IDENTITIES = (kinds.USER, kinds.SERVICE_ACCOUNT)


def is_provisioned(group: ResourceRow) -> bool:
    """Whether it is a group of the identity provider's, which decides who is in it."""
    return spec_of(group, UserGroupSpec).HasField("scim_group")


def access_of(row: ResourceRow) -> Access:
    """What a user, group or service account has been given itself."""
    match row.kind:
        case kinds.USER:
            return spec_of(row, UserSpec).access
        case kinds.USER_GROUP:
            return spec_of(row, UserGroupSpec).access
        case kinds.SERVICE_ACCOUNT:
            spec = spec_of(row, ServiceAccountSpec)
            if not spec.HasField("namespace_scoped_access"):
                return spec.access
            scoped = spec.namespace_scoped_access
            return Access(
                account_access={"role": kinds.ROLE_OF_NAMESPACE_SCOPED},  # type: ignore[arg-type]
                namespace_accesses={scoped.namespace: NamespaceAccess(permission=scoped.access.permission)},
            )
    raise AssertionError(row.kind)


def set_access(row: ResourceRow, access: Access) -> bytes:
    """The specification of a user, group or service account with another access."""
    spec: UserSpec | UserGroupSpec | ServiceAccountSpec
    match row.kind:
        case kinds.USER:
            spec = spec_of(row, UserSpec)
        case kinds.USER_GROUP:
            spec = spec_of(row, UserGroupSpec)
        case _:
            spec = spec_of(row, ServiceAccountSpec)
    spec.access.CopyFrom(access)
    return spec.SerializeToString(deterministic=True)


async def publish_identity(transaction: Transaction, row: ResourceRow) -> None:
    """A user or service account, with what it has through its groups."""
    record = await identity_of(transaction, row)
    transaction.publish(record)
    if row.kind == kinds.USER:
        # He may have been an owner until now, or may be one from now on.
        await end_by_password(transaction, record)
        await end_unvouched(transaction, record)


async def groups_of(transaction: Transaction, row: ResourceRow) -> list[ResourceRow]:
    """The groups of an identity; service accounts are in none."""
    if row.kind != kinds.USER:
        return []
    found = [await transaction.resource(kinds.USER_GROUP, group_id) for group_id in await transaction.groups_of(row.id)]
    return [group for group in found if group is not None]


async def identity_of(transaction: Transaction, row: ResourceRow) -> PrincipalRecord:
    """What gateways are told of a user or service account."""
    accesses = [access_of(each) for each in (row, *await groups_of(transaction, row))]
    return PrincipalRecord(
        id=row.id,
        account_id=row.account_id,
        kind=PrincipalKind.USER if row.kind == kinds.USER else PrincipalKind.SERVICE_ACCOUNT,
        name=row.name,
        roles=tuple(sorted(roles_of(*accesses))),
        namespaces={NamespaceName(name): int(each) for name, each in permissions_of(accesses).items()},
        custom=await _custom(transaction, row.account_id, accesses),
        active=is_active(row),
    )


async def publish_group(transaction: Transaction, group_id: str) -> None:
    """Everybody who is in it."""
    for member in await transaction.members(group_id):
        user = await transaction.resource(kinds.USER, member.user_id)
        if user is not None:
            await publish_identity(transaction, user)


async def publish_all(transaction: Transaction, account_id: str) -> None:
    """All identities of an account."""
    for kind in _IDENTITIES:
        for row in await transaction.resources(account_id, kind):
            await publish_identity(transaction, row)


async def forget_namespace(transaction: Transaction, account_id: str, namespace: str) -> None:
    """Nobody has a permission on it any more, so that another of its name begins without."""
    for kind in (*_IDENTITIES, kinds.USER_GROUP):
        for row in await transaction.resources(account_id, kind):
            access = access_of(row)
            if namespace in access.namespace_accesses:
                del access.namespace_accesses[namespace]
                row.spec = set_access(row, access)
                row.version += 1
    for row in await transaction.resources(account_id, kinds.SIGN_ON_CONNECTION):
        connection = spec_of(row, SignOnConnectionSpec)
        for granted in (*(each.access for each in connection.group_mappings), connection.default_access):
            if namespace in granted.namespace_permissions:
                del granted.namespace_permissions[namespace]
                row.spec = connection.SerializeToString(deterministic=True)
                row.version += 1
    for row in await transaction.resources(account_id, kinds.CUSTOM_ROLE):
        role = spec_of(row, CustomRoleSpec)
        if _without_namespace(role, namespace):
            row.spec = role.SerializeToString(deterministic=True)
            row.version += 1
    await publish_all(transaction, account_id)


def _without_namespace(role: CustomRoleSpec, namespace: str) -> bool:
    """Whether a custom role named it. Permissions that were about nothing else go as a whole."""
    naming = [
        each.resources
        for each in role.permissions
        if each.resources.resource_type == ResourceKind.NAMESPACE and namespace in each.resources.resource_ids
    ]
    for resources in naming:
        resources.resource_ids[:] = [other for other in resources.resource_ids if other != namespace]
    left = [each for each in role.permissions if each.resources.allow_all or each.resources.resource_ids]
    del role.permissions[:]
    role.permissions.extend(left)
    return bool(naming)


async def _custom(
    transaction: Transaction, account_id: str, accesses: Iterable[Access]
) -> tuple[CustomPermissionRecord, ...]:
    role_ids = {role_id for access in accesses for role_id in access.account_access.custom_roles}
    found: list[CustomPermissionRecord] = []
    for role_id in sorted(role_ids):
        row = await transaction.resource(kinds.CUSTOM_ROLE, role_id)
        if row is None or row.account_id != account_id:
            continue
        spec = spec_of(row, CustomRoleSpec)
        found += [
            CustomPermissionRecord(
                row.id,
                each.resources.resource_type,
                tuple(each.actions),
                tuple(each.resources.resource_ids),
                each.resources.allow_all,
            )
            for each in spec.permissions
        ]
    return tuple(found)
