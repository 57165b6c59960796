"""PURE: what can be wrong with a table. Casbin itself overlooks most of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from perdure.auth.policy.conditions import CONDITIONS
from perdure.auth.policy.grants import KeyScope, ResourceKind
from perdure.auth.policy.words import (
    ANSWERS,
    DATA_PLANE,
    EVERY_RIGHT,
    NOBODY,
    PERMISSIONS,
    ROLES,
    SERVICES,
    SUBJECTS,
)

#: How many values a line of each kind has.
_WIDTHS = {"g": 2, "g2": 2, "g3": 2, "p": 3, "p2": 3, "p3": 4}


class Rows(NamedTuple):
    """The lines of a table by kind, without it."""

    inclusions: list[list[str]]
    rights: list[list[str]]
    everywhere: list[list[str]]
    grants: list[list[str]]
    scopes: list[list[str]]
    actions: list[list[str]]


def malformed(policy: str) -> Iterable[str]:
    """Lines that casbin would skip or stumble over."""
    for number, line in enumerate(policy.splitlines(), 1):
        if line and not line.startswith("#"):
            kind, *values = (value.strip() for value in line.split(","))
            if len(values) != _WIDTHS.get(kind) or not all(values):
                yield f"line {number} makes no sense: {line}"


def contradictions(rows: Rows) -> Iterable[str]:
    """What is said twice, what nobody has and what is nothing."""
    counts = Counter(rpc for rpc, _ in rows.rights)
    yield from (f"{rpc} is there twice" for rpc, count in counts.items() if count > 1)
    lines = Counter(tuple(row) for row in (*rows.grants, *rows.scopes, *rows.actions))
    yield from (f"{', '.join(line)} is there twice" for line, count in lines.items() if count > 1)
    defined = {right for _, right in rows.rights}
    given = {right for _, right, _ in rows.grants}
    limited = {right for _, right, _ in rows.scopes} - {EVERY_RIGHT}
    yield from (f"nobody has the right {right}" for right in defined - given)
    yield from (f"no RPC belongs to the right {right}" for right in (given | limited) - defined)
    entered = {right for subject, right, _ in rows.grants if subject == NOBODY}
    yield from (
        f"{rpc} must not be open to nobody"
        for rpc, right in rows.rights
        if right in entered and rpc.partition(".")[0] in DATA_PLANE
    )
    for _, _, rpc, _ in rows.actions:
        if rpc not in counts:
            yield f"{rpc} belongs to no right"
        if not rpc.startswith("CloudService."):
            yield f"custom roles do not reach {rpc}"


def strangers(rows: Rows) -> Iterable[str]:
    """Names of what does not exist."""
    subjects = {subject for subject, _, _ in rows.grants} | {each for pair in rows.inclusions for each in pair}
    yield from _unknown("subject", subjects, SUBJECTS)
    yield from _unknown("account role", (role for role, _ in rows.everywhere), ROLES.values())
    yield from _unknown("permission", (permission for _, permission in rows.everywhere), PERMISSIONS.values())
    yield from _unknown("service", (rpc.partition(".")[0] for rpc, _ in rows.rights), SERVICES)
    yield from _unknown("condition", (row[-1] for row in (*rows.grants, *rows.actions)), CONDITIONS)
    yield from _unknown("scope", (scope for scope, _, _ in rows.scopes), KeyScope)
    yield from _unknown("answer", (answer for _, _, answer in rows.scopes), ANSWERS)
    yield from _unknown("kind of resources", (kind for kind, _, _, _ in rows.actions), ResourceKind)


def _unknown(what: str, named: Iterable[str], existing: Iterable[str]) -> Iterable[str]:
    yield from (f"there is no {what} {name!r}" for name in set(named) - set(existing))
