"""PURE: what identities are given: roles and permissions, as the API says them, with what it said in the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from temporalio.api.cloud.identity.v1 import Access, AccountAccess, NamespaceAccess

from perdure.auth.policy.grants import AccountRole, Permission, Target
from perdure.kernel.errors import InvalidArgument

NAMESPACES_MAX = 1000

#: Names from before there were enums.
_ROLES: Mapping[str, int] = {
    "owner": AccountAccess.ROLE_OWNER,
    "admin": AccountAccess.ROLE_ADMIN,
    "developer": AccountAccess.ROLE_DEVELOPER,
    "financeadmin": AccountAccess.ROLE_FINANCE_ADMIN,
    "read": AccountAccess.ROLE_READ,
    "metricsread": AccountAccess.ROLE_METRICS_READ,
}
_PERMISSIONS: Mapping[str, int] = {
    "admin": NamespaceAccess.PERMISSION_ADMIN,
    "write": NamespaceAccess.PERMISSION_WRITE,
    "read": NamespaceAccess.PERMISSION_READ,
}
_ROLE_NAMES = {number: name for name, number in _ROLES.items()}
_PERMISSION_NAMES = {number: name for name, number in _PERMISSIONS.items()}


def checked(access: Access, account_id: str, *, custom_roles_max: int) -> Access:
    """The same in today's words.

    Raises:
        InvalidArgument: a role or permission is unknown, or a namespace is not one of the account.
    """
    result = Access()
    account = access.account_access
    role = account.role or _known(_ROLES, account.role_deprecated, "access.account_access.role")
    if role not in AccountAccess.Role.values():
        raise InvalidArgument(f"access.account_access.role: {role} is unknown.")
    result.account_access.role = AccountAccess.Role.ValueType(role)
    custom = list(dict.fromkeys([*account.custom_roles, *access.custom_roles_deprecated]))
    if len(custom) > custom_roles_max:
        raise InvalidArgument(f"access.account_access.custom_roles: at most {custom_roles_max}.")
    result.account_access.custom_roles.extend(custom)
    if not role:
        raise InvalidArgument("access.account_access.role: must be given.")
    if len(access.namespace_accesses) > NAMESPACES_MAX:
        raise InvalidArgument(f"access.namespace_accesses: at most {NAMESPACES_MAX}.")
    for namespace, each in access.namespace_accesses.items():
        if namespace.rpartition(".")[2] != account_id:
            raise InvalidArgument(f"access.namespace_accesses: {namespace} is not a namespace of this account.")
        result.namespace_accesses[namespace].permission = permission_of(each)
    return result


def permission_of(access: NamespaceAccess) -> NamespaceAccess.Permission.ValueType:
    """Raises InvalidArgument: there is none, or an unknown one."""
    number = access.permission or _known(_PERMISSIONS, access.permission_deprecated, "access.permission")
    if not number or number not in NamespaceAccess.Permission.values():
        raise InvalidArgument("access.permission: must be one of Admin, Write, Read.")
    return NamespaceAccess.Permission.ValueType(number)


def is_empty(access: NamespaceAccess) -> bool:
    """Which takes a permission away."""
    return not access.permission and not access.permission_deprecated


def show(access: Access) -> None:
    """Add what clients from before there were enums read."""
    account = access.account_access
    account.role_deprecated = _ROLE_NAMES.get(account.role, "")
    access.custom_roles_deprecated[:] = account.custom_roles
    for each in access.namespace_accesses.values():
        show_permission(each)


def show_permission(access: NamespaceAccess) -> None:
    access.permission_deprecated = _PERMISSION_NAMES.get(access.permission, "")


def roles_of(*accesses: Access) -> frozenset[AccountRole]:
    """Account roles in any of them."""
    return frozenset(AccountRole(each.account_access.role) for each in accesses if each.account_access.role)


def custom_roles_of(*accesses: Access) -> frozenset[str]:
    """Custom roles in any of them, by their ids."""
    return frozenset(role_id for each in accesses for role_id in each.account_access.custom_roles)


def changed_namespaces(before: Access, after: Access) -> frozenset[str]:
    """Namespaces on which a permission is given or taken."""

    def permissions(access: Access) -> dict[str, Any]:
        return {name: each.permission for name, each in access.namespace_accesses.items()}

    return frozenset(name for name, _ in set(permissions(before).items()) ^ set(permissions(after).items()))


def permissions_of(accesses: Iterable[Access]) -> dict[str, Permission]:
    """The strongest permission on each namespace."""
    found: dict[str, Permission] = {}
    for access in accesses:
        for name, each in access.namespace_accesses.items():
            permission = Permission(each.permission)
            # The lowest number is the strongest.
            found[name] = min(permission, found.get(name, permission))
    return found


def _known(names: Mapping[str, int], name: str, field: str) -> int:
    if not name:
        return 0
    number = names.get(name.lower().replace("_", ""))
    if number is None:
        raise InvalidArgument(f"{field}: {name} is unknown, must be one of {', '.join(names)}.")
    return number


#: What somebody has who has nothing.
NOTHING = Access()


def lenient(access: Access) -> Access:
    """What it says as far as it is understood, for asking whether it may be said; `checked` comes after."""
    result = Access()
    account = access.account_access
    role = account.role or _ROLES.get(account.role_deprecated.lower().replace("_", ""), 0)
    if role in AccountAccess.Role.values():
        result.account_access.role = AccountAccess.Role.ValueType(role)
    result.account_access.custom_roles.extend([*account.custom_roles, *access.custom_roles_deprecated])
    for namespace, each in access.namespace_accesses.items():
        permission = each.permission or _PERMISSIONS.get(each.permission_deprecated.lower(), 0)
        if permission in NamespaceAccess.Permission.values():
            result.namespace_accesses[namespace].permission = NamespaceAccess.Permission.ValueType(permission)
    return result


def target_of_loss(account_id: str, held: Sequence[Access]) -> Target:
    """What somebody decides on who takes all of these from an identity."""
    return Target(
        account_id,
        assigns=roles_of(*held),
        assigns_custom=custom_roles_of(*held),
        opens=frozenset(permissions_of(held)),
    )


def target_of_change(account_id: str, before: Access, after: Access) -> Target:
    """What somebody decides on who gives an identity other access."""
    return Target(
        account_id,
        assigns=roles_of(before, after),
        assigns_custom=custom_roles_of(before, after),
        opens=changed_namespaces(before, after),
    )
