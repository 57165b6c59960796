"""Who may call what, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from google.protobuf.descriptor import ServiceDescriptor

from perdure.auth.policy import table
from perdure.auth.policy.conditions import ALWAYS, CONDITIONS, VISIBLE, Call
from perdure.auth.policy.grants import CustomPermission, Grants, KeyScope, Permission, ResourceKind, Target
from perdure.auth.policy.table import PolicyError, Table
from perdure.auth.policy.words import (
    ANYONE,
    DATA_PLANE,
    NOBODY,
    OPERATOR,
    PERMISSIONS,
    PROVISIONER,
    ROLES,
    SUBJECTS,
    service_of,
    short_name,
)


class Decision(NamedTuple):
    """Whether a call is allowed, and why, in words for people.

    `only_visible`: it is allowed, and what it answers must be restricted to what the caller may see.
    `hidden`: it is refused, and the caller must not learn whether what he asks for exists.
    """

    allowed: bool
    because: str
    only_visible: bool = False
    hidden: bool = False


class Policy:
    """Decides by the table. RPCs are full names of methods, as in their descriptors.

    How refusals are told. The data plane answers PERMISSION_DENIED "Request unauthorized." for any namespace on which
    the caller has no grant, whether it exists or not. The control plane answers NOT_FOUND if the decision is `hidden`,
    in the words in which it says of anything that it does not exist; otherwise PERMISSION_DENIED with `because`.
    """

    def __init__(self, rules: Table) -> None:
        self._rules = rules
        self._roles_by_name = {name: role for role, name in ROLES.items()}
        self._data_plane = {
            (permission, scope, operator): self._compiled(permission, scope, operator)
            for permission in (None, *Permission)
            for scope in KeyScope
            for operator in (False, True)
        }

    @classmethod
    def load(cls) -> Policy:
        """From the table that is packaged with this module.

        Raises:
            PolicyError: the table is at odds with itself.
        """
        return cls(table.read(table.packaged("policy.csv")))

    @property
    def rpcs(self) -> Mapping[str, str]:
        """All RPCs, each with the right that it belongs to."""
        return self._rules.rights

    @property
    def rules(self) -> Table:
        """All that follows from the table."""
        return self._rules

    def verify(self, services: Iterable[ServiceDescriptor]) -> None:
        """Raises PolicyError: an RPC of these services has no row, or a row of them has no RPC."""
        wrong: list[str] = []
        for service in services:
            existing = {method.full_name for method in service.methods}
            known = {rpc for rpc in self._rules.rights if rpc.rpartition(".")[0] == service.full_name}
            wrong += [f"{rpc} has no row" for rpc in sorted(existing - known)]
            wrong += [f"{rpc} does not exist" for rpc in sorted(known - existing)]
        if wrong:
            raise PolicyError("policy.csv: " + "; ".join(wrong))

    def actions(self, kind: ResourceKind) -> frozenset[str]:
        """The actions that custom roles can have on such resources."""
        every = (action for actions in self._rules.actions.values() for action in actions)
        return frozenset(action.name for action in every if action.kind is kind)

    def data_plane(self, permission: Permission | None, scope: KeyScope, *, operator: bool = False) -> frozenset[str]:
        """What whoever has this permission on a namespace may call there. Always the same set: it costs a look-up."""
        return self._data_plane[permission, scope, operator]

    def open_to_nobody(self, rpc: str) -> bool:
        """Whether this RPC is for whoever comes without credentials, so that none are looked for."""
        return any(line.when == ALWAYS for line in self._rules.lines[NOBODY].get(rpc, ()))

    def without_payloads(self, scope: KeyScope) -> frozenset[str]:
        """Those RPCs that answer a key of this scope without payloads."""
        return self._rules.stripped[scope]

    def permission_on(self, grants: Grants, account_id: str, namespace: str) -> Permission | None:
        """What somebody may on a namespace of this account, be it given to him or included in a role."""
        if not _at_home(grants, account_id):
            return None
        everywhere = self._rules.everywhere
        held = [everywhere[role] for role in grants.roles if role in everywhere]
        if explicit := grants.namespaces.get(namespace):
            held.append(explicit)
        return min(held, default=None)

    def decide(self, rpc: str, principal_id: str, grants: Grants, target: Target) -> Decision:
        """Whether somebody may make this call.

        Raises:
            PolicyError: the table does not know the RPC.
        """
        if rpc not in self._rules.rights:
            raise PolicyError(f"policy.csv: {rpc} has no row")
        call = self._call(principal_id, grants, target)
        if rpc not in self._rules.scopes[grants.scope]:
            because = f"API keys of scope {grants.scope} do not reach {short_name(rpc)}"
            return Decision(False, because, hidden=self._hidden(grants, target, call))
        ways = [*self._granted(rpc, grants, call), *self._through_custom_roles(rpc, grants, call)]
        if ways:
            return min(ways, key=lambda way: way.only_visible)
        return Decision(False, self._needed(rpc, grants, target), hidden=self._hidden(grants, target, call))

    def _call(self, principal_id: str, grants: Grants, target: Target) -> Call:
        included = {name for role in grants.roles for name in self._rules.included[ROLES[role]]}
        roles = frozenset(role for name, role in self._roles_by_name.items() if name in included)
        return Call(
            principal_id,
            grants.person,
            roles,
            frozenset(permission.role for permission in grants.custom),
            lambda namespace: self.permission_on(grants, target.account_id, namespace),
            target,
            grants.signed_in,
            grants.federated,
        )

    def _granted(self, rpc: str, grants: Grants, call: Call) -> Iterator[Decision]:
        for subject, where in self.held(grants, call.target):
            for line in self._rules.lines[subject].get(rpc, ()):
                if CONDITIONS[line.when].holds(call):
                    yield Decision(True, _said(f"{subject}{where}", line.when), only_visible=line.when == VISIBLE)

    def held(self, grants: Grants, target: Target) -> Iterator[tuple[str, str]]:
        """All that somebody is to this target, in the words of the table, and where."""
        if grants.operator:
            yield OPERATOR, ""
        if _at_home(grants, target.account_id):
            if grants.provisioner:
                yield PROVISIONER, ""
            for role in sorted(grants.roles):
                yield ROLES[role], ""
            permissions = [self.permission_on(grants, target.account_id, each) for each in target.namespaces]
            held = [permission for permission in permissions if permission]
            if held and len(held) == len(permissions):
                # Lower is stronger, and the weakest of them is what he has on all.
                yield PERMISSIONS[max(held)], f" on {', '.join(target.namespaces)}"
        yield ANYONE, ""
        yield NOBODY, ""

    def _through_custom_roles(self, rpc: str, grants: Grants, call: Call) -> Iterator[Decision]:
        """A custom role adds to a built-in one and is nothing by itself."""
        if not grants.roles or not _at_home(grants, call.target.account_id):
            return
        for action in self._rules.actions.get(rpc, ()):
            for permission in grants.custom:
                matches = permission.kind is action.kind and action.name in permission.actions
                if matches and _covered(permission, call.target) and CONDITIONS[action.when].holds(call):
                    yield Decision(True, f"custom role {permission.role}", only_visible=action.when == VISIBLE)

    def _hidden(self, grants: Grants, target: Target, call: Call) -> bool:
        if target.account_id and not _at_home(grants, target.account_id):
            return True
        shown = [permission for permission in grants.custom if permission.kind is ResourceKind.NAMESPACE]
        return any(
            call.on(namespace) is None and not any(permission.covers(namespace) for permission in shown)
            for namespace in target.namespaces
        )

    def _needed(self, rpc: str, grants: Grants, target: Target) -> str:
        if target.account_id and not _at_home(grants, target.account_id):
            return f"account {target.account_id} is not the caller's"
        on = f" on {', '.join(target.namespaces) or 'the namespace'}"
        ways = [
            _said(f"{subject}{on if subject in PERMISSIONS.values() else ''}", line.when)
            for subject in SUBJECTS
            for line in self._rules.lines[subject].get(rpc, ())
            if line.subject == subject
        ]
        return "needs " + ", or ".join(ways)

    def _compiled(self, permission: Permission | None, scope: KeyScope, operator: bool) -> frozenset[str]:
        subjects = [ANYONE, *([OPERATOR] if operator else []), *([PERMISSIONS[permission]] if permission else [])]
        reached = self._rules.scopes[scope]
        return frozenset(
            rpc
            for subject in subjects
            for rpc, lines in self._rules.lines[subject].items()
            if rpc in reached and service_of(rpc) in DATA_PLANE and any(line.when == ALWAYS for line in lines)
        )


def _at_home(grants: Grants, account_id: str) -> bool:
    """Nobody's account is no account: an operator without one is not at home in what belongs to none."""
    return bool(account_id) and grants.account_id == account_id


def _said(subject: str, when: str) -> str:
    return f"{subject} {CONDITIONS[when].meaning}".rstrip()


def _covered(permission: CustomPermission, target: Target) -> bool:
    match permission.kind:
        case ResourceKind.ACCOUNT:
            return permission.covers(target.account_id)
        case ResourceKind.PROJECT:
            return permission.covers(target.project_id)
        case ResourceKind.NAMESPACE:
            return bool(target.namespaces) and all(permission.covers(each) for each in target.namespaces)
        case _:
            return bool(target.resource_id) and permission.covers(target.resource_id)
