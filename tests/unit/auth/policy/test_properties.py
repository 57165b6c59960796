"""What holds for any grants, any call, and whatever is in the table."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perdure.auth.policy import table, words
from perdure.auth.policy.conditions import Call
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
from tests.unit.auth.policy.services import DATA_PLANE_RPCS, POLICY, RPCS

ACTIONS = sorted({action for kind in ResourceKind for action in POLICY.actions(kind)})
ENFORCER = table.enforcer_of(table.packaged("policy.csv"))

people = st.sampled_from(["user-1", "user-2"])
namespaces = st.sampled_from(["one.a1", "two.a1", "one.a2"])
roles = st.frozensets(st.sampled_from(AccountRole), max_size=2)
custom = st.builds(
    CustomPermission,
    st.sampled_from(["role", "another"]),
    st.sampled_from(ResourceKind),
    st.frozensets(st.sampled_from(ACTIONS), max_size=30),
    st.frozensets(st.sampled_from(["a1", "one.a1", "p1", "x1"]), max_size=2),
    st.booleans(),
)
grants = st.builds(
    Grants,
    st.just("a1"),
    roles,
    st.dictionaries(namespaces, st.sampled_from(Permission), max_size=3),
    st.lists(custom, max_size=2).map(tuple),
    st.sampled_from(KeyScope),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
targets = st.builds(
    Target,
    st.sampled_from(["a1", "a1", "a2", ""]),
    st.lists(namespaces, max_size=2, unique=True).map(tuple),
    st.one_of(st.just(""), people),
    roles,
    st.frozensets(st.sampled_from(["role", "another"]), max_size=1),
    st.frozensets(namespaces, max_size=1),
    st.sampled_from(["", "p1"]),
    st.sampled_from(["", "x1"]),
)
rpcs = st.sampled_from(RPCS)
ABOUT_NO_ACCOUNT = {
    *("installation.info", "installation.administer", "namespace.describe"),
    *("person.enter", "person.self", "machine.enter"),
}
many = settings(max_examples=400, deadline=None)


@many
@given(rpcs, people, grants, grants, targets)
def test_more_grants_never_allow_less(rpc: str, who: str, own: Grants, group: Grants, target: Target) -> None:
    before = POLICY.decide(rpc, who, own, target)
    after = POLICY.decide(rpc, who, strongest(own, group), target)
    if before.allowed:
        assert after.allowed
        assert before.only_visible or not after.only_visible


@many
@given(rpcs, people, grants, targets)
def test_a_scope_never_allows_more(rpc: str, who: str, own: Grants, target: Target) -> None:
    narrow = POLICY.decide(rpc, who, own, target)
    full = POLICY.decide(rpc, who, replace(own, scope=KeyScope.FULL), target)
    assert full.allowed or not narrow.allowed


@many
@given(rpcs, people, grants, targets)
def test_another_account_opens_nothing(rpc: str, who: str, own: Grants, target: Target) -> None:
    foreign = replace(target, account_id="a2")
    decision = POLICY.decide(rpc, who, own, foreign)
    nobody = Grants(operator=own.operator, scope=own.scope, signed_in=own.signed_in)
    assert decision.allowed == POLICY.decide(rpc, who, nobody, foreign).allowed
    assert decision.allowed or decision.hidden
    if decision.allowed:
        assert POLICY.rpcs[rpc] in ABOUT_NO_ACCOUNT


@many
@given(st.sampled_from(sorted(DATA_PLANE_RPCS)), people, grants, targets)
def test_custom_roles_never_open_the_data_plane(rpc: str, who: str, own: Grants, target: Target) -> None:
    with_roles = POLICY.decide(rpc, who, own, target)
    assert with_roles.allowed == POLICY.decide(rpc, who, replace(own, custom=()), target).allowed


@given(grants, grants)
def test_order_and_repetition_of_groups_do_not_matter(one: Grants, other: Grants) -> None:
    own = Grants("a1")
    assert strongest(own, one, other).roles == strongest(own, other, one, one).roles
    assert strongest(own, one, other).namespaces == strongest(own, other, one, one).namespaces
    assert set(strongest(own, one, other).custom) == set(strongest(own, other, one, one).custom)


def judged_by_casbin(rpc: str, who: str, own: Grants, target: Target) -> bool:
    """The same question, put to casbin's matchers in `model.conf`."""

    def on(namespace: str) -> Permission | None:
        return POLICY.permission_on(own, target.account_id, namespace)

    included = frozenset().union(*(POLICY.rules.included[words.ROLES[role]] for role in own.roles))
    all_roles = frozenset(role for role, name in words.ROLES.items() if name in included)
    custom_roles = frozenset(permission.role for permission in own.custom)
    call = Call(who, own.person, all_roles, custom_roles, on, target, own.signed_in, own.federated)
    short = words.short_name(rpc)
    if not ENFORCER.enforce(ENFORCER.new_enforce_context("2"), own.scope.value, short):
        return False
    if any(ENFORCER.enforce(subject, short, call) for subject, _ in POLICY.held(own, target)):
        return True
    resources = {
        ResourceKind.ACCOUNT: [target.account_id],
        ResourceKind.PROJECT: [target.project_id],
        ResourceKind.NAMESPACE: list(target.namespaces),
    }
    third = ENFORCER.new_enforce_context("3")
    return any(
        cast(bool, ENFORCER.enforce(third, permission.kind.value, action, short, call))
        for permission in own.custom
        for action in permission.actions
        if own.roles and own.account_id == target.account_id
        if (about := resources.get(permission.kind, [target.resource_id]))
        if all(each and (permission.allow_all or each in permission.resource_ids) for each in about)
    )


@many
@given(rpcs, people, grants, targets)
def test_a_key_for_a_token_never_allows_more(rpc: str, who: str, own: Grants, target: Target) -> None:
    lent = POLICY.decide(rpc, who, replace(own, federated=True), target)
    kept = POLICY.decide(rpc, who, replace(own, federated=False), target)
    assert kept.allowed or not lent.allowed
    if kept.allowed and not lent.allowed:
        assert POLICY.rpcs[rpc] == "apikey.create"


@settings(max_examples=150, deadline=None)
@given(rpcs, people, grants, targets)
def test_what_is_compiled_is_what_casbin_says(rpc: str, who: str, own: Grants, target: Target) -> None:
    assume(rpc in POLICY.rules.scopes[own.scope])
    assert POLICY.decide(rpc, who, own, target).allowed == judged_by_casbin(rpc, who, own, target)
