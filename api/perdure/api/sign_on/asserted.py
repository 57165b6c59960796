"""PURE: what a provider says of somebody, once it is certain that it was the provider, and that it was asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from perdure.api.protos import sign_on_pb2 as api
from perdure.api.resources import emails
from perdure.api.sign_on.refusals import SignOnRefused
from perdure.kernel.errors import InvalidArgument

GROUPS_MAX = 1000


class Asserted(NamedTuple):
    """`email` is folded, and of a domain that the connection may assert."""

    email: str
    groups: frozenset[str]


def checked(spec: api.SignOnConnectionSpec, email: Any, groups: Any) -> Asserted:
    """Raises SignOnRefused: it is no address, or one that this provider has no say in."""
    if not isinstance(email, str):
        raise SignOnRefused("The provider does not say which e-mail address it is.")
    try:
        if not email.isascii():
            # Some letters beyond are folded to ours: K (Kelvin) would be k, and somebody else.
            raise SignOnRefused("The e-mail address that the provider names has letters beyond ASCII.")
        emails.check(email, "email")
    except InvalidArgument:
        raise SignOnRefused("What the provider says is no e-mail address.") from None
    if emails.domain_of(email) not in spec.email_domains:
        domain = emails.domain_of(email)
        raise SignOnRefused(
            f"The provider asserts an address of {domain}, which is not among the connection's domains.",
            f"Your organisation's connection is not for addresses of {domain}.",
        )
    return Asserted(emails.folded(email), _groups(groups))


def of_claims(spec: api.SignOnConnectionSpec, claims: Mapping[str, Any]) -> Asserted:
    """What the claims of an OpenID Connect token say.

    Raises:
        SignOnRefused: as in `checked`, or the provider itself does not stand by the address.
    """
    # Some say it in words. Those who say nothing vouch for all addresses that they have.
    if str(claims.get("email_verified", True)).lower() != "true":
        raise SignOnRefused("The provider says that the e-mail address is not verified.")
    return checked(spec, claims.get("email"), claims.get(spec.groups_claim) if spec.groups_claim else None)


def _groups(value: Any) -> frozenset[str]:
    named = [value] if isinstance(value, str) else value
    if not isinstance(named, list | tuple | frozenset):
        return frozenset()
    if len(named) > GROUPS_MAX:
        raise SignOnRefused(f"The provider names more than {GROUPS_MAX} groups.")
    return frozenset(each for each in named if isinstance(each, str))
