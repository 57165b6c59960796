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

#: The packages of the services that the table names without them.
SERVICES: Mapping[str, str] = {
    "WorkflowService": "temporal.api.workflowservice.v1",
    "OperatorService": "temporal.api.operatorservice.v1",
    "CloudService": "temporal.api.cloud.cloudservice.v1",
}
DATA_PLANE = frozenset({"WorkflowService", "OperatorService"})

#: What the table calls whoever can be given something.
ANYONE = "anyone"
OPERATOR = "operator"
ROLES: Mapping[AccountRole, str] = {
    AccountRole.OWNER: "account role Owner",
    AccountRole.ADMIN: "account role Global Admin",
    AccountRole.DEVELOPER: "account role Developer",
    AccountRole.FINANCE_ADMIN: "account role Finance Admin",
    AccountRole.READ: "account role Read",
    AccountRole.METRICS_READ: "account role Metrics Read",
}
PERMISSIONS: Mapping[Permission, str] = {
    Permission.ADMIN: "namespace permission Admin",
    Permission.WRITE: "namespace permission Write",
    Permission.READ: "namespace permission Read",
}
SUBJECTS = (ANYONE, OPERATOR, *ROLES.values(), *PERMISSIONS.values())

WITHOUT_PAYLOADS = "without payloads"
_EVERY_RIGHT = "*"
_ANSWERS = frozenset({"whole", WITHOUT_PAYLOADS})


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
    enforcer = enforcer_of(policy)
    rights = enforcer.get_named_grouping_policy("g2")
    grants = enforcer.get_policy()
    scopes = enforcer.get_named_policy("p2")
    actions = enforcer.get_named_policy("p3")
    everywhere = enforcer.get_named_grouping_policy("g3")
    inclusions = enforcer.get_grouping_policy()
    if wrong := sorted({*_contradictions(rights, grants, scopes), *_strangers(grants, scopes, actions, inclusions)}):
        raise PolicyError("policy.csv: " + "; ".join(wrong))

    right_of = {full_name(rpc): right for rpc, right in rights}
    rpcs_of: dict[str, list[str]] = {_EVERY_RIGHT: list(right_of)}
    for rpc, right in right_of.items():
        rpcs_of.setdefault(right, []).append(rpc)
    # What `g` of the matchers asks. The enforcer's get_implicit_... follow g2 and g3 as well.
    includes = enforcer.get_role_manager().has_link
    included = {each: frozenset(other for other in SUBJECTS if includes(each, other)) for each in SUBJECTS}
    lines: dict[str, dict[str, tuple[Line, ...]]] = {each: {} for each in SUBJECTS}
    for subject, held in lines.items():
        for giver, right, when in grants:
            if giver in included[subject]:
                for rpc in rpcs_of[right]:
                    held[rpc] = (*held.get(rpc, ()), Line(giver, when))
    opened: dict[str, tuple[Action, ...]] = {}
    for kind, action, short, when in actions:
        rpc = full_name(short)
        opened[rpc] = (*opened.get(rpc, ()), Action(ResourceKind(kind), action, when))
    return Table(
        rights=right_of,
        lines=lines,
        included=included,
        everywhere=_everywhere(included, dict(everywhere)),
        scopes=_reached(scopes, rpcs_of),
        stripped=_reached([row for row in scopes if row[2] == WITHOUT_PAYLOADS], rpcs_of),
        actions=opened,
    )


def full_name(rpc: str) -> str:
    """The full name of the method that the table calls `service.method`."""
    service, _, _ = rpc.partition(".")
    return f"{SERVICES[service]}.{rpc}"


def short_name(rpc: str) -> str:
    """What the table calls a method."""
    return ".".join(rpc.rsplit(".", 2)[1:])


def _reached(scopes: Iterable[list[str]], rpcs_of: Mapping[str, list[str]]) -> Mapping[KeyScope, frozenset[str]]:
    reached: dict[KeyScope, set[str]] = {scope: set() for scope in KeyScope}
    for scope, right, _ in scopes:
        reached[KeyScope(scope)].update(rpcs_of[right])
    return {scope: frozenset(rpcs) for scope, rpcs in reached.items()}


def _everywhere(
    included: Mapping[str, frozenset[str]], permissions: Mapping[str, str]
) -> Mapping[AccountRole, Permission]:
    by_name = {name: permission for permission, name in PERMISSIONS.items()}
    found: dict[AccountRole, Permission] = {}
    for role, name in ROLES.items():
        if held := [by_name[permissions[each]] for each in included[name] if each in permissions]:
            found[role] = min(held)
    return found


def _contradictions(rights: list[list[str]], grants: list[list[str]], scopes: list[list[str]]) -> Iterable[str]:
    rpcs = [rpc for rpc, _ in rights]
    yield from (f"{rpc} is there twice" for rpc in rpcs if rpcs.count(rpc) > 1)
    defined = {right for _, right in rights}
    given = {right for _, right, _ in grants}
    yield from (f"nobody has the right {right}" for right in defined - given)
    limited = {right for _, right, _ in scopes} - {_EVERY_RIGHT}
    yield from (f"no RPC belongs to the right {right}" for right in (given | limited) - defined)
    rows = [tuple(row) for row in (*grants, *scopes)]
    yield from (f"{', '.join(row)} is there twice" for row in set(rows) if rows.count(row) > 1)


def _strangers(
    grants: list[list[str]], scopes: list[list[str]], actions: list[list[str]], inclusions: list[list[str]]
) -> Iterable[str]:
    named = {subject for subject, _, _ in grants} | {subject for pair in inclusions for subject in pair}
    yield from (f"there is no {subject}" for subject in named - set(SUBJECTS))
    conditions = {row[-1] for row in (*grants, *actions)}
    yield from (f"there is no condition {when}" for when in conditions - CONDITIONS.keys())
    yield from (f"there is no scope {scope}" for scope in {row[0] for row in scopes} - set(KeyScope))
    yield from (f"answers cannot be {answers}" for answers in {row[2] for row in scopes} - _ANSWERS)
    yield from (f"there is no kind {kind} of resources" for kind in {row[0] for row in actions} - set(ResourceKind))
    elsewhere = {rpc for _, _, rpc, _ in actions if not rpc.startswith("CloudService.")}
    yield from (f"custom roles do not reach {rpc}" for rpc in elsewhere)
