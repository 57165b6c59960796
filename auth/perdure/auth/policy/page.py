"""Makes docs/permissions.md from the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from perdure.auth.policy import table
from perdure.auth.policy.conditions import ALWAYS, CONDITIONS
from perdure.auth.policy.grants import AccountRole, KeyScope, Permission
from perdure.auth.policy.table import Table
from perdure.auth.policy.words import ANYONE, NOBODY, OPERATOR, PERMISSIONS, ROLES, short_name

_INTRODUCTION = """\
# Permissions

Who may call what, on both planes. Made by `python -m perdure.auth.policy.page` from the table by which Perdure decides,
`auth/perdure/auth/policy/policy.csv`; a test compares. An RPC that has no row in it keeps the gateway from starting.

- **Account roles** are about the account and open the control plane. Owner and Global Admin have the permission Admin
  on all namespaces of their account, which cannot be taken from them. Everybody else reaches a namespace by a
  permission on it. Somebody in several groups has all that any of them has.
- **Metrics Read** opens the metrics endpoint and nothing below.
- A **client certificate** opens the data plane of its namespaces as the permission Write does.
- **Scopes** are of API keys. A key never does more than its owner may; one with a scope other than `full` does less.
- The **operator** administers the installation, and belongs to no account. What only he may do is refused to all
  tenants: they manage namespaces and Nexus endpoints through the control plane.
- What belongs to another account does not exist. The control plane answers NOT_FOUND for it, as for a namespace of
  one's own account on which one has no permission. The data plane answers PERMISSION_DENIED for a namespace on which
  one has no permission, whether it exists or not.

In a cell, `x` is yes and anything else names a condition:

"""

_DATA_PLANE = """\
## Data plane

By permission on the namespace that the call names, and by scope of the API key, both of which have to allow it. The
RPCs about the installation are open to anyone who is authenticated. `*` answers without payloads.
"""

_CONTROL_PLANE = """\
## Control plane

By account role or by permission on the namespace that the call is about; one of them is enough. API keys of scope
`worker` and `starter` reach GetCurrentIdentity only, those of scope `reader` what is marked in the last column.
"""

_OURS = """\
People, and what accounts have besides. `nobody` is whoever comes without credentials, `anyone` whoever is
authenticated, whatever his role. A session in an account that asks for a second factor reaches what is marked as
`enrolment` until its person has one.
"""

_CUSTOM = """\
## Custom roles

Actions add to an account role; without one they are nothing. They never open the data plane, except that who may set
permissions on a namespace (`setUserAccess`, `setUserGroupAccess`) may set his own, and who may update custom roles may
add to those that he has.

| resource | action | opens | |
|---|---|---|---|
"""

_OF_DATA_PLANE = ("WorkflowService", "OperatorService")
_OF_CLOUD = "CloudService"
_DATA_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "Read": (ANYONE, PERMISSIONS[Permission.READ]),
    "Write": (ANYONE, PERMISSIONS[Permission.WRITE]),
    "Admin": (ANYONE, PERMISSIONS[Permission.ADMIN]),
    "operator": (ANYONE, OPERATOR),
}
_ROLE_COLUMNS: Mapping[str, AccountRole] = {
    "Read": AccountRole.READ,
    "Developer": AccountRole.DEVELOPER,
    "Finance Admin": AccountRole.FINANCE_ADMIN,
    "Global Admin": AccountRole.ADMIN,
    "Owner": AccountRole.OWNER,
}


def page(rules: Table) -> str:
    """docs/permissions.md."""
    conditions = (f"- *{name}*: {each.meaning}" for name, each in CONDITIONS.items() if each.meaning)
    return "\n".join(
        (
            _INTRODUCTION + "\n".join(conditions) + "\n",
            _DATA_PLANE,
            *(_matrix(rules, service, _data_cells(rules)) for service in _OF_DATA_PLANE),
            _CONTROL_PLANE,
            _matrix(rules, _OF_CLOUD, _control_cells(rules)),
            _OURS,
            *(_matrix(rules, service, _identity_cells(rules)) for service in _our_services(rules)),
            _CUSTOM + "\n".join(_actions(rules)) + "\n",
        )
    )


def _our_services(rules: Table) -> list[str]:
    """Those that are no part of Temporal's API."""
    services = (short_name(rpc).partition(".")[0] for rpc in rules.rights)
    return [service for service in dict.fromkeys(services) if service not in (*_OF_DATA_PLANE, _OF_CLOUD)]


_Cells = Callable[[str], Mapping[str, str]]


def _matrix(rules: Table, service: str, cells: _Cells) -> str:
    """The RPCs of a service in the order of the table, with a line wherever another right begins."""
    rows: list[str] = []
    right_before = ""
    for rpc, right in rules.rights.items():
        short = short_name(rpc)
        if short.partition(".")[0] != service:
            continue
        values = cells(rpc)
        if not rows:
            rows = [_row("", *values), "|---|" + ":-:|" * len(values)]
        if right != right_before:
            rows.append(_row(f"**{right}**", *("" for _ in values)))
            right_before = right
        rows.append(_row(short.partition(".")[2], *values.values()))
    return f"### {service}\n\n" + "\n".join(rows) + "\n"


def _data_cells(rules: Table) -> _Cells:
    def cells(rpc: str) -> dict[str, str]:
        found = {title: _cell(rules, rpc, subjects) for title, subjects in _DATA_COLUMNS.items()}
        for scope in (KeyScope.WORKER, KeyScope.STARTER, KeyScope.READER):
            reached = "*" if rpc in rules.stripped[scope] else "x" if rpc in rules.scopes[scope] else ""
            found[f"`{scope}`"] = reached
        return found

    return cells


def _control_cells(rules: Table) -> _Cells:
    def cells(rpc: str) -> dict[str, str]:
        found = {}
        for title, role in _ROLE_COLUMNS.items():
            everywhere = rules.everywhere.get(role)
            found[title] = _cell(rules, rpc, (ROLES[role], *([PERMISSIONS[everywhere]] if everywhere else [])))
        for permission, name in sorted(PERMISSIONS.items(), reverse=True):
            found[f"namespace {permission.name.title()}"] = _cell(rules, rpc, (name,))
        found["`reader`"] = "x" if rpc in rules.scopes[KeyScope.READER] else ""
        return found

    return cells


def _identity_cells(rules: Table) -> _Cells:
    by_role = _control_cells(rules)

    def cells(rpc: str) -> dict[str, str]:
        found = {subject: _cell(rules, rpc, (subject,)) for subject in (NOBODY, ANYONE)}
        enrolment = "x" if rpc in rules.scopes[KeyScope.ENROLMENT] else ""
        return {**found, **by_role(rpc), "`enrolment`": enrolment}

    return cells


def _cell(rules: Table, rpc: str, subjects: Iterable[str]) -> str:
    conditions = [line.when for subject in subjects for line in rules.lines[subject].get(rpc, ())]
    if ALWAYS in conditions:
        return "x"
    return " or ".join(dict.fromkeys(conditions))


def _actions(rules: Table) -> Iterable[str]:
    rows = [
        (action.kind, action.name, short_name(rpc).partition(".")[2], action.when)
        for rpc, actions in rules.actions.items()
        for action in actions
    ]
    for kind, name, rpc, when in sorted(rows):
        yield _row(kind, f"`{name}`", rpc, "" if when == ALWAYS else when)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print(page(table.read(table.packaged("policy.csv"))), end="")
