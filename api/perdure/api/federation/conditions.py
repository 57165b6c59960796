"""PURE: what the claims of a token have to be, and whether that tells whose token is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from perdure.api.protos import federation_pb2 as api
from perdure.kernel.errors import InvalidArgument

CONDITIONS_MAX = 20
CLAIM_LENGTH_MAX = 256
VALUE_LENGTH_MAX = 1024
#: Parts of a claim's name, so that there are not too many ways to read it.
PARTS_MAX = 8
_ANY = "*"

#: What all tokens of an issuer have in common, or each has anew.
_TELLING_NOTHING = frozenset(
    {"iss", "aud", "exp", "iat", "nbf", "jti", "auth_time", "nonce", "at_hash", "typ", "azp", "email_verified"}
)
#: Issuers whose tokens anybody can have: the claims that tell whose one is, and what at least has to be said of them.
#: What only names a branch or an environment anybody can name so, and a whole `sub` may be of somebody's making.
_PUBLIC: Mapping[str, Mapping[str, str]] = {
    "https://token.actions.githubusercontent.com": {
        "sub": r"repo:[^/*:]+/",
        "repository": r"[^/*]+/",
        "repository_id": r"[^*]+$",
        "repository_owner": r"[^*]+$",
        "repository_owner_id": r"[^*]+$",
        "enterprise": r"[^*]+$",
        "enterprise_id": r"[^*]+$",
    },
    "https://gitlab.com": {
        "sub": r"project_path:[^/*:]+/",
        "project_path": r"[^/*]+/",
        "project_id": r"[^*]+$",
        "namespace_path": r"[^*]+$",
        "namespace_id": r"[^*]+$",
    },
    "https://agent.buildkite.com": {
        "sub": r"organization:[^:*]+:",
        "organization_slug": r"[^*]+$",
        "organization_id": r"[^*]+$",
        "pipeline_id": r"[^*]+$",
    },
    "https://app.terraform.io": {
        "sub": r"organization:[^:*]+:",
        "terraform_organization_name": r"[^*]+$",
        "terraform_organization_id": r"[^*]+$",
        "terraform_workspace_id": r"[^*]+$",
    },
    "https://accounts.google.com": {"sub": r"[^*]+$", "email": r"[^*]+$"},
}


def check(conditions: Iterable[api.ClaimCondition], issuer: str, field: str) -> None:
    """Raises InvalidArgument: there are too many, one makes no sense, or none tells whose tokens are meant."""
    conditions = list(conditions)
    if len(conditions) > CONDITIONS_MAX:
        raise InvalidArgument(f"{field}: at most {CONDITIONS_MAX}.")
    for each in conditions:
        _check(each, field)
    public = _PUBLIC.get(issuer.rstrip("/"))
    if public is None:
        if not any(each.claim not in _TELLING_NOTHING and each.value != _ANY for each in conditions):
            raise InvalidArgument(f"{field}: one has to tell whose tokens are meant, such as one on sub.")
    elif not any(each.claim in public and re.match(public[each.claim], each.value) for each in conditions):
        raise InvalidArgument(
            f"{field}: anybody can have tokens of this issuer. One has to tell whose are meant, by {_listed(public)}; "
            "of sub and of paths what comes before * has to name the owner."
        )


def unmet(conditions: Iterable[api.ClaimCondition], claims: Mapping[str, Any]) -> api.ClaimCondition | None:
    """The first one that does not hold; None if all of them do."""
    return next((each for each in conditions if not _holds(each, claims)), None)


def _check(condition: api.ClaimCondition, field: str) -> None:
    claim, value = condition.claim, condition.value
    if not claim or len(claim) > CLAIM_LENGTH_MAX or claim.count(".") >= PARTS_MAX:
        raise InvalidArgument(
            f"{field}: a claim must have 1 to {CLAIM_LENGTH_MAX} characters, and {PARTS_MAX} parts at most."
        )
    if not value or len(value) > VALUE_LENGTH_MAX:
        raise InvalidArgument(f"{field}: the value of {claim} must have 1 to {VALUE_LENGTH_MAX} characters.")
    if _ANY in value[:-1]:
        raise InvalidArgument(f"{field}: the value of {claim} may have * at its end only.")


def _holds(condition: api.ClaimCondition, claims: Mapping[str, Any]) -> bool:
    found = list(_read(claims, condition.claim.split(".")))
    # A name that can be read in two ways is somebody's trick: names of claims may have dots.
    return len(found) == 1 and any(_is(condition.value, value) for value in _values(found[0]))


def _read(claims: object, parts: list[str]) -> Iterator[object]:
    """All that the name can mean."""
    if not parts:
        yield claims
        return
    if isinstance(claims, dict):
        for end in range(1, len(parts) + 1):
            name = ".".join(parts[:end])
            if name in claims:
                yield from _read(claims[name], parts[end:])


def _values(claim: object) -> Iterator[str]:
    """As text. Of a list, such as one of groups, any will do."""
    for each in claim if isinstance(claim, list) else [claim]:
        if isinstance(each, bool):
            yield "true" if each else "false"
        elif isinstance(each, str | int):
            yield str(each)


def _is(wanted: str, value: str) -> bool:
    return value.startswith(wanted[:-1]) if wanted.endswith(_ANY) else value == wanted


def _listed(claims: Iterable[str]) -> str:
    *most, last = claims
    return f"{', '.join(most)} or {last}"
