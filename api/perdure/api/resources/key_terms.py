"""PURE: what keys of all kinds are asked for with: what they may do, from where, and for how long after another one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network
from typing import Final

from perdure.auth.policy.grants import KeyScope
from perdure.kernel.errors import InvalidArgument

OVERLAP_S_MAX: Final = 30 * 86400
NETWORKS_MAX: Final = 20


def checked_scope(name: str) -> KeyScope:
    """Raises InvalidArgument: there is none of this name."""
    possible = [scope for scope in KeyScope if scope is not KeyScope.ENROLMENT]
    if name and name not in possible:
        raise InvalidArgument(f"scope: must be one of {', '.join(possible)}.")
    return KeyScope(name or KeyScope.FULL)


def checked_networks(names: Iterable[str]) -> tuple[str, ...]:
    """Raises InvalidArgument: one is not a network, or there are too many."""
    found = []
    for name in names:
        try:
            found.append(str(ip_network(name)))
        except ValueError:
            raise InvalidArgument("source_networks: must be networks, such as 10.0.0.0/8 or 2001:db8::/32.") from None
    if len(found) > NETWORKS_MAX:
        raise InvalidArgument(f"source_networks: at most {NETWORKS_MAX}.")
    return tuple(dict.fromkeys(found))


def check_overlap(seconds: int) -> None:
    """For how long a key is good besides the one in its place. Raises InvalidArgument: it cannot be for so long."""
    if not 0 <= seconds <= OVERLAP_S_MAX:
        raise InvalidArgument(f"overlap_seconds: must be from 0 to {OVERLAP_S_MAX}.")
