"""PURE: the conditions that lines of the table name, each by a function and in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from perdure.auth.policy.grants import AccountRole, Permission, Target

#: Roles that only owners give and take.
OWNERS_ROLES = frozenset({AccountRole.OWNER, AccountRole.FINANCE_ADMIN})


class Call(NamedTuple):
    """What conditions look at.

    `roles` are the caller's account roles with all that they include, `custom_roles` the names of his custom ones, and
    `on` tells his permission on a namespace of the account that the target is in. `signed_in` is whoever has a session,
    `federated` whoever has a key for a token of another issuer.
    """

    principal_id: str
    person: bool
    roles: frozenset[AccountRole]
    custom_roles: frozenset[str]
    on: Callable[[str], Permission | None]
    target: Target
    signed_in: bool = False
    federated: bool = False


class Condition(NamedTuple):
    """`meaning` goes on from "... may": for people who ask why, and for docs/permissions.md."""

    holds: Callable[[Call], bool]
    meaning: str = ""


def _own(call: Call) -> bool:
    return bool(call.principal_id) and call.target.owner_id == call.principal_id


def _own_with_a_key_of_its_own(call: Call) -> bool:
    return _own(call) and not call.federated


def _own_as_a_person(call: Call) -> bool:
    return call.person and _own(call)


def _admin_of_target(call: Call) -> bool:
    namespaces = call.target.namespaces
    return bool(namespaces) and all(call.on(each) is Permission.ADMIN for each in namespaces)


def _lesser_roles(call: Call) -> bool:
    return not call.target.assigns & OWNERS_ROLES


def _no_more_than_own(call: Call) -> bool:
    target = call.target
    known = target.assigns <= call.roles and target.assigns_custom <= call.custom_roles
    return known and all(call.on(each) is Permission.ADMIN for each in target.opens)


ALWAYS = "always"
VISIBLE = "visible"

CONDITIONS: Mapping[str, Condition] = {
    ALWAYS: Condition(lambda call: True),
    VISIBLE: Condition(lambda call: True, "and sees what is visible to the caller"),
    "signed in": Condition(lambda call: call.signed_in, "by a session and not by an API key"),
    "own": Condition(_own, "if it is the caller's own"),
    "own by own key": Condition(
        _own_with_a_key_of_its_own, "if it is the caller's own and the caller's key was not given for a token"
    ),
    "own as a person": Condition(_own_as_a_person, "if it is the caller's own and the caller is no service account"),
    "admin of target": Condition(_admin_of_target, "with namespace permission Admin on the target, before and after"),
    "lesser roles": Condition(_lesser_roles, "if nobody gains or loses the role Owner or Finance Admin by it"),
    "no more than own": Condition(
        _no_more_than_own,
        "if nobody gains or loses by it a role that the caller has not, or a permission on a namespace of which the "
        "caller is not Admin",
    ),
}
