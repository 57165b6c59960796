"""Every RPC x every role, permission and scope x own and foreign namespace and account, against what is expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import pytest
from google.protobuf.descriptor import MethodDescriptor

from perdure.api.services import CLOUD_SERVICE
from perdure.auth.policy.grants import (
    AccountRole,
    CustomPermission,
    Grants,
    KeyScope,
    Permission,
    ResourceKind,
    Target,
    strongest,
)
from perdure.auth.policy.table import PolicyError
from tests.unit.auth.policy import expectations
from tests.unit.auth.policy.services import METHODS, OPERATOR, POLICY, WORKFLOW

ME = "user-1"
OWN, OTHER, FOREIGN = "own.a1", "other.a1", "own.a2"

#: Targets, each with whether all its namespaces are those that the caller has a permission on.
TARGETS = (
    (Target("a1", (OWN,)), True),
    (Target("a1", (OTHER,)), False),
    (Target("a1", (OWN, OTHER)), False),
    (Target("a1"), False),
    (Target("a2", (FOREIGN,)), False),
    (Target("a2"), False),
    (Target("", ()), False),
)
#: Whose key it is, whether the caller is a person, which roles are given or taken.
NOBODY: frozenset[AccountRole] = frozenset()
CIRCUMSTANCES = (
    ("somebody", True, NOBODY),
    ("", False, frozenset({AccountRole.ADMIN})),
    (ME, True, NOBODY),
    (ME, False, NOBODY),
    (ME, True, frozenset({AccountRole.OWNER})),
    ("somebody", True, frozenset({AccountRole.OWNER})),
    ("somebody", True, frozenset({AccountRole.FINANCE_ADMIN, AccountRole.READ})),
)


def callers() -> Iterator[tuple[AccountRole | None, Permission | None, KeyScope]]:
    return product((None, *AccountRole), (None, *Permission), KeyScope)


def effective(
    role: AccountRole | None, permission: Permission | None, target: Target, granted: bool
) -> Permission | None:
    """What the caller has on all namespaces of the target."""
    if target.account_id != "a1" or not target.namespaces:
        return None
    if role in (AccountRole.OWNER, AccountRole.ADMIN):
        return Permission.ADMIN
    return permission if granted else None


@pytest.mark.parametrize("method", METHODS, ids=lambda method: f"{method.containing_service.name}.{method.name}")
def test_every_rpc_by_everybody(method: MethodDescriptor) -> None:
    on_control_plane = method.containing_service not in (WORKFLOW, OPERATOR)
    about_people = method.name in expectations.FOR_NOBODY | expectations.FOR_ONESELF
    ways = (False, True) if method.containing_service.name == "IdentityService" else (False,)
    circumstances = CIRCUMSTANCES if on_control_plane else CIRCUMSTANCES[:1]
    for role, permission, scope in callers():
        # A permission on a foreign namespace must not count, whoever has written it down.
        namespaces = {FOREIGN: Permission.ADMIN, **({OWN: permission} if permission else {})}
        roles = frozenset({role} if role else ())
        for (target, granted), (owner, person, assigns), operator, signed_in in product(
            TARGETS, circumstances, (False, True), ways
        ):
            on_target = effective(role, permission, target, granted)
            if about_people:
                expected = expectations.person(method.name, scope, signed_in)
            elif on_control_plane:
                mine = target.account_id == "a1"
                expected = mine and expectations.control_plane(
                    method.name,
                    role,
                    on_target,
                    scope,
                    own_key=owner == ME,
                    person=person,
                    assigns=assigns,
                    signed_in=signed_in,
                )
            else:
                expected = expectations.data_plane(method.name, on_target, scope, operator)
            grants = Grants("a1", roles, namespaces, scope=scope, person=person, operator=operator, signed_in=signed_in)
            full = Target(target.account_id, target.namespaces, owner_id=owner, assigns=assigns)
            decision = POLICY.decide(method.full_name, ME, grants, full)
            assert decision.allowed == expected, (grants, full, decision)
            assert decision.because


@pytest.mark.parametrize(("kind", "action", "opened"), [
    (ResourceKind(kind), f"cloud.{action}", opened)
    for kind, actions in expectations.ACTIONS.items()
    for action, opened in (pair.split() for pair in actions.split(","))
])  # fmt: skip
def test_an_action_of_a_custom_role_opens_one_rpc(kind: ResourceKind, action: str, opened: str) -> None:
    resource = {ResourceKind.ACCOUNT: "a1", ResourceKind.PROJECT: "p1", ResourceKind.NAMESPACE: OTHER}.get(kind, "x1")
    reader = Grants("a1", frozenset({AccountRole.READ}), {OWN: Permission.ADMIN})
    about = Target("a1", (OTHER,) if kind is ResourceKind.NAMESPACE else (OWN,), project_id="p1", resource_id="x1")

    def opens(
        *, roles: frozenset[AccountRole] = reader.roles, on: str = resource, everything: bool = False
    ) -> set[str]:
        custom = CustomPermission("Deployer", kind, frozenset({action}), frozenset({on}), everything)
        without = Grants("a1", roles, reader.namespaces)
        holder = Grants("a1", roles, reader.namespaces, (custom,))
        return {
            method.name
            for method in METHODS
            if POLICY.decide(method.full_name, ME, holder, about).allowed
            and not POLICY.decide(method.full_name, ME, without, about).allowed
        }

    basic = "R" in expectations.BY_ROLE.get(opened, "") or (
        about.namespaces == (OWN,) and "a" in expectations.BY_PERMISSION.get(opened, "")
    )
    expected = set() if basic else {opened}
    assert opens() == expected
    assert opens(on="something-else", everything=True) == expected
    assert opens(on="something-else") == set()
    assert opens(roles=frozenset()) == set(), "a built-in role is still needed"


def test_there_are_no_other_actions() -> None:
    for kind in ResourceKind:
        expected = {f"cloud.{pair.split()[0]}" for pair in expectations.ACTIONS[kind].split(",")}
        assert POLICY.actions(kind) == expected


def allowed(rpc: str, grants: Grants, target: Target) -> bool:
    return POLICY.decide(f"{CLOUD_SERVICE.full_name}.{rpc}", ME, grants, target).allowed


def inviter(role: AccountRole, namespaces: dict[str, Permission] | None = None) -> Grants:
    actions = frozenset({"cloud.user.create", "cloud.usergroup.addMember"})
    custom = CustomPermission("Inviter", ResourceKind.ACCOUNT, actions, allow_all=True)
    return Grants("a1", frozenset({role}), namespaces or {}, (custom,))


@pytest.mark.parametrize("rpc", ["CreateUser", "AddUserGroupMember"])
def test_who_brings_people_in_by_a_custom_role_gives_no_more_than_he_has(rpc: str) -> None:
    reads, develops = (Target("a1", assigns=frozenset({role})) for role in (AccountRole.READ, AccountRole.DEVELOPER))
    assert allowed(rpc, inviter(AccountRole.READ), reads)
    assert not allowed(rpc, inviter(AccountRole.READ), develops)
    assert allowed(rpc, inviter(AccountRole.DEVELOPER), develops)
    custom = Target("a1", assigns=reads.assigns, assigns_custom=frozenset({"Deployer"}))
    assert not allowed(rpc, inviter(AccountRole.READ), custom)
    assert allowed(rpc, inviter(AccountRole.READ), replace(custom, assigns_custom=frozenset({"Inviter"})))
    opening = Target("a1", assigns=reads.assigns, opens=frozenset({OWN}))
    assert not allowed(rpc, inviter(AccountRole.READ, {OWN: Permission.WRITE}), opening)
    assert allowed(rpc, inviter(AccountRole.READ, {OWN: Permission.ADMIN}), opening)


def test_a_custom_role_leads_endpoints_only_to_namespaces_of_which_its_holder_is_admin() -> None:
    custom = CustomPermission(
        "Wirer", ResourceKind.NEXUS_ENDPOINT, frozenset({"cloud.nexusendpoint.update"}), allow_all=True
    )
    holder = Grants("a1", frozenset({AccountRole.READ}), {OWN: Permission.ADMIN, OTHER: Permission.WRITE}, (custom,))
    assert allowed("UpdateNexusEndpoint", holder, Target("a1", (OWN,), resource_id="e1"))
    assert not allowed("UpdateNexusEndpoint", holder, Target("a1", (OWN, OTHER), resource_id="e1"))


def decision_of(rpc: str, grants: Grants, target: Target) -> tuple[bool, str, bool, bool]:
    return tuple(POLICY.decide(f"{CLOUD_SERVICE.full_name}.{rpc}", ME, grants, target))


def test_reasons_say_what_allows_it_and_what_would() -> None:
    developer = Grants("a1", frozenset({AccountRole.DEVELOPER}), {OWN: Permission.WRITE})
    assert decision_of("CreateNamespace", developer, Target("a1")) == (True, "account role Developer", False, False)
    own = Target("a1", (OWN,))
    assert decision_of("GetNamespace", developer, own)[:2] == (True, f"namespace permission Write on {OWN}")
    assert decision_of("UpdateNamespace", developer, own)[:2] == (False, f"needs namespace permission Admin on {OWN}")
    assert decision_of("GetUsage", developer, own)[:2] == (
        False,
        "needs account role Global Admin, or account role Finance Admin",
    )
    custom = CustomPermission("Deployer", ResourceKind.NAMESPACE, frozenset({"cloud.namespace.update"}), allow_all=True)
    deployer = strongest(developer, Grants("a1", custom=(custom,)))
    assert decision_of("UpdateNamespace", deployer, own)[:2] == (True, "custom role Deployer")
    worker = Grants("a1", developer.roles, developer.namespaces, scope=KeyScope.WORKER)
    assert (
        decision_of("GetNamespace", worker, own)[1] == "API keys of scope worker do not reach CloudService.GetNamespace"
    )


def test_what_somebody_cannot_see_is_hidden() -> None:
    developer = Grants("a1", frozenset({AccountRole.DEVELOPER}), {OWN: Permission.READ})
    assert decision_of("UpdateNamespace", developer, Target("a2", (FOREIGN,)))[3], "another account"
    assert decision_of("UpdateUser", developer, Target("a2"))[3], "another account"
    assert decision_of("UpdateNamespace", developer, Target("a1", (OTHER,)))[3], "no permission on it"
    assert not decision_of("UpdateNamespace", developer, Target("a1", (OWN,)))[3], "he can read it"
    assert not decision_of("UpdateUser", developer, Target("a1"))[3]
    custom = CustomPermission("Viewer", ResourceKind.NAMESPACE, frozenset({"cloud.namespace.get"}), frozenset({OTHER}))
    viewer = strongest(developer, Grants("a1", custom=(custom,)))
    assert not decision_of("UpdateNamespace", viewer, Target("a1", (OTHER,)))[3], "a custom role shows it"


def test_lists_are_restricted_to_the_visible_for_all_but_those_who_see_all() -> None:
    for rpc in ("GetNamespaces", "GetApiKeys"):
        for role in AccountRole:
            decision = POLICY.decide(
                f"{CLOUD_SERVICE.full_name}.{rpc}", ME, Grants("a1", frozenset({role})), Target("a1")
            )
            sees_all = role in (AccountRole.OWNER, AccountRole.ADMIN)
            assert decision.only_visible == (decision.allowed and not sees_all)


def test_a_group_of_another_account_is_a_defect() -> None:
    with pytest.raises(ValueError, match="a2"):
        strongest(Grants("a1"), Grants("a2", frozenset({AccountRole.OWNER})))


def test_an_unknown_rpc_is_a_defect() -> None:
    with pytest.raises(PolicyError, match="Nothing has no row"):
        POLICY.decide("a.b.Nothing", ME, Grants("a1"), Target("a1"))
