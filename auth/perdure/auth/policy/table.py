"""Reads the table (`policy.csv`) with casbin and works out what follows from it, once, when a process starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import NamedTuple

import casbin
from casbin.model import Model
from casbin.persist.adapters.string_adapter import StringAdapter

from perdure.auth.policy.conditions import CONDITIONS
from perdure.auth.policy.grants import AccountRole, KeyScope, Permission, ResourceKind
from perdure.auth.policy.soundness import Rows, contradictions, malformed, strangers
from perdure.auth.policy.words import EVERY_RIGHT, PERMISSIONS, ROLES, SUBJECTS, WITHOUT_PAYLOADS, full_name


class PolicyError(Exception):
    """The table is at odds with itself or with the services; the message lists where."""


class Line(NamedTuple):
    """Somebody may call an RPC under a condition."""

    subject: str
    when: str


class Action(NamedTuple):
    """An action of custom roles on a kind of resource opens an RPC under a condition."""

    kind: ResourceKind
    name: str
    when: str


@dataclass(frozen=True, slots=True)
class Table:
    """What follows from the table. RPCs are full names of methods, as in their descriptors.

    - `rights`: the right that each RPC belongs to.
    - `lines`: by subject and RPC, the lines for the subject itself and for all that it includes.
    - `included`: all that a subject is, itself among it.
    - `everywhere`: the permission that an account role has on all namespaces of its account.
    - `scopes`: the RPCs that each scope of API keys reaches; `stripped`: those of them that answer without payloads.
    - `actions`: the actions of custom roles that open an RPC.
    """

    rights: Mapping[str, str]
    lines: Mapping[str, Mapping[str, tuple[Line, ...]]]
    included: Mapping[str, frozenset[str]]
    everywhere: Mapping[AccountRole, Permission]
    scopes: Mapping[KeyScope, frozenset[str]]
    stripped: Mapping[KeyScope, frozenset[str]]
    actions: Mapping[str, tuple[Action, ...]]


def packaged(name: str) -> str:
    return (resources.files(__package__) / name).read_text(encoding="utf-8")


def enforcer_of(policy: str) -> casbin.Enforcer:
    """Casbin's own judge of a policy in CSV. Too slow for calls: it walks the table for each question."""
    model = Model()
    model.load_model_from_text(packaged("model.conf"))
    enforcer = casbin.Enforcer(model, StringAdapter(policy))
    enforcer.add_function("holds", lambda when, call: CONDITIONS[when].holds(call))
    return enforcer


def read(policy: str) -> Table:
    """What follows from a policy in CSV.

    Raises:
        PolicyError: it names what does not exist, says something twice, or gives nobody a right or a right to nobody.
    """
    _refuse(malformed(policy))
    enforcer = enforcer_of(policy)
    rows = Rows(
        inclusions=enforcer.get_grouping_policy(),
        rights=enforcer.get_named_grouping_policy("g2"),
        everywhere=enforcer.get_named_grouping_policy("g3"),
        grants=enforcer.get_policy(),
        scopes=enforcer.get_named_policy("p2"),
        actions=enforcer.get_named_policy("p3"),
    )
    _refuse((*contradictions(rows), *strangers(rows)))

    rights = {full_name(rpc): right for rpc, right in rows.rights}
    rpcs_of: dict[str, list[str]] = {EVERY_RIGHT: list(rights)}
    for rpc, right in rights.items():
        rpcs_of.setdefault(right, []).append(rpc)
    # What `g` of the matchers asks. The enforcer's get_implicit_... would follow g2 and g3 as well.
    includes = enforcer.get_role_manager().has_link
    included = {each: frozenset(other for other in SUBJECTS if includes(each, other)) for each in SUBJECTS}
    return Table(
        rights=rights,
        lines={subject: _lines(rows, included[subject], rpcs_of) for subject in SUBJECTS},
        included=included,
        everywhere=_everywhere(rows, included),
        scopes=_reached(rows.scopes, rpcs_of),
        stripped=_reached([row for row in rows.scopes if row[2] == WITHOUT_PAYLOADS], rpcs_of),
        actions=_actions(rows),
    )


def _refuse(complaints: Iterable[str]) -> None:
    if wrong := sorted(complaints):
        raise PolicyError("policy.csv: " + "; ".join(wrong))


def _lines(
    rows: Rows, included: frozenset[str], rpcs_of: Mapping[str, Iterable[str]]
) -> Mapping[str, tuple[Line, ...]]:
    found: dict[str, tuple[Line, ...]] = {}
    for subject, right, when in rows.grants:
        if subject in included:
            for rpc in rpcs_of[right]:
                found[rpc] = (*found.get(rpc, ()), Line(subject, when))
    return found


def _actions(rows: Rows) -> Mapping[str, tuple[Action, ...]]:
    found: dict[str, tuple[Action, ...]] = {}
    for kind, name, rpc, when in rows.actions:
        full = full_name(rpc)
        found[full] = (*found.get(full, ()), Action(ResourceKind(kind), name, when))
    return found


def _everywhere(rows: Rows, included: Mapping[str, frozenset[str]]) -> Mapping[AccountRole, Permission]:
    permissions = {name: permission for permission, name in PERMISSIONS.items()}
    found: dict[AccountRole, Permission] = {}
    for role, name in ROLES.items():
        if held := [permissions[permission] for giver, permission in rows.everywhere if giver in included[name]]:
            found[role] = min(held)
    return found


def _reached(scopes: Iterable[list[str]], rpcs_of: Mapping[str, list[str]]) -> Mapping[KeyScope, frozenset[str]]:
    reached: dict[KeyScope, set[str]] = {scope: set() for scope in KeyScope}
    for scope, right, _ in scopes:
        reached[KeyScope(scope)].update(rpcs_of[right])
    return {scope: frozenset(rpcs) for scope, rpcs in reached.items()}
