"""What conditions say of claims, and which of them trust everybody."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.api.federation.conditions import CLAIM_LENGTH_MAX, CONDITIONS_MAX, VALUE_LENGTH_MAX, check, unmet
from perdure.api.protos.federation_pb2 import ClaimCondition
from perdure.kernel.errors import InvalidArgument

OWN = "https://idp.acme.example"
GITHUB = "https://token.actions.githubusercontent.com"
POD = {
    "sub": "system:serviceaccount:orders:worker",
    "kubernetes.io": {"namespace": "orders", "pod": {"name": "worker-0"}, "warnafter": 1},
    "groups": ["workers", "readers"],
    "ref_protected": True,
    "attempt": 3,
    "nothing": None,
}


def holds(claim: str, value: str, claims: dict[str, Any] = POD) -> bool:
    return unmet([ClaimCondition(claim=claim, value=value)], claims) is None


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", "system:serviceaccount:orders:worker"),
        ("sub", "system:serviceaccount:orders:*"),
        ("kubernetes.io.namespace", "orders"),
        ("kubernetes.io.pod.name", "worker-*"),
        ("groups", "workers"),
        ("ref_protected", "true"),
        ("attempt", "3"),
    ],
)
def test_what_holds(claim: str, value: str) -> None:
    assert holds(claim, value)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("sub", "system:serviceaccount:orders"),
        ("sub", "system:serviceaccount:orders:worker:"),
        ("sub", "System:serviceaccount:orders:worker"),
        ("kubernetes.io", "orders"),
        ("kubernetes", "*"),
        ("kubernetes.io.namespace.name", "*"),
        ("groups", "writers"),
        ("ref_protected", "True"),
        ("ref_protected", "1"),
        ("nothing", "None"),
        ("nothing", "*"),
        ("absent", "*"),
        ("", "*"),
    ],
)
def test_what_does_not_hold(claim: str, value: str) -> None:
    assert not holds(claim, value)


def test_a_claim_that_can_be_read_in_two_ways_holds_in_neither() -> None:
    crafted = {"repository.owner": "acme", "repository": {"owner": "acme"}}
    assert not holds("repository.owner", "acme", crafted)


def test_all_have_to_hold() -> None:
    both = [ClaimCondition(claim="sub", value="a"), ClaimCondition(claim="ref", value="main")]
    sub, ref = both
    assert unmet(both, {"sub": "a", "ref": "main"}) is None
    assert unmet(both, {"sub": "a", "ref": "mainline"}) == ref
    assert unmet(both, {"sub": "b", "ref": "main"}) == sub


@given(st.text(max_size=8), st.text(min_size=1, max_size=8).filter(lambda text: "*" not in text))
def test_a_value_without_an_asterisk_is_the_whole_value(found: str, wanted: str) -> None:
    assert holds("sub", wanted, {"sub": found}) == (found == wanted)
    assert holds("sub", wanted + "*", {"sub": found}) == found.startswith(wanted)


@pytest.mark.parametrize(
    ("issuer", "claim", "value"),
    [
        (OWN, "sub", "worker"),
        (OWN, "sub", "w*"),
        (OWN, "groups", "workers"),
        (GITHUB, "sub", "repo:acme/orders:ref:refs/heads/main"),
        (GITHUB, "sub", "repo:acme/*"),
        (GITHUB + "/", "repository", "acme/orders"),
        (GITHUB, "repository_owner", "acme"),
        ("https://gitlab.com", "sub", "project_path:acme/orders:ref_type:branch:ref:main"),
        ("https://gitlab.com", "namespace_id", "17"),
    ],
)
def test_what_tells_whose_tokens_are_meant(issuer: str, claim: str, value: str) -> None:
    check([ClaimCondition(claim=claim, value=value)], issuer, "conditions")


@pytest.mark.parametrize(
    ("issuer", "claim", "value"),
    [
        (OWN, "sub", "*"),
        (OWN, "aud", "perdure"),
        (OWN, "iss", OWN),
        (OWN, "email_verified", "true"),
        (GITHUB, "sub", "repo:*"),
        (GITHUB, "sub", "repo:acme*"),
        (GITHUB, "sub", "repo:*/orders"),
        (GITHUB, "sub", "environment:production"),
        (GITHUB, "ref", "refs/heads/main"),
        (GITHUB, "repository", "*"),
        (GITHUB, "repository_owner", "acme*"),
        (GITHUB, "job_workflow_ref", "acme/workflows/deploy.yml@refs/heads/main"),
        (GITHUB + "/", "actor", "ann"),
        ("https://gitlab.com", "ref", "main"),
        ("https://accounts.google.com", "email", "ann@*"),
    ],
)
def test_what_would_trust_everybody(issuer: str, claim: str, value: str) -> None:
    with pytest.raises(InvalidArgument):
        check([ClaimCondition(claim=claim, value=value)], issuer, "conditions")


@pytest.mark.parametrize(
    "condition",
    [
        ClaimCondition(value="x"),
        ClaimCondition(claim="ref"),
        ClaimCondition(claim="ref", value="a*b"),
        ClaimCondition(claim="ref", value="**"),
        ClaimCondition(claim="r" * (CLAIM_LENGTH_MAX + 1), value="x"),
        ClaimCondition(claim="r" + ".r" * 8, value="x"),
        ClaimCondition(claim="ref", value="x" * (VALUE_LENGTH_MAX + 1)),
    ],
)
def test_what_makes_no_sense(condition: ClaimCondition) -> None:
    with pytest.raises(InvalidArgument, match=r"^conditions: "):
        check([ClaimCondition(claim="sub", value="worker"), condition], OWN, "conditions")


def test_how_many() -> None:
    with pytest.raises(InvalidArgument, match=f"at most {CONDITIONS_MAX}"):
        check([ClaimCondition(claim="sub", value="worker")] * (CONDITIONS_MAX + 1), OWN, "conditions")
    with pytest.raises(InvalidArgument, match="whose tokens are meant"):
        check([], OWN, "conditions")
