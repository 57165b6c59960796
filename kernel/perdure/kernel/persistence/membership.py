"""Leases of the members of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.kernel.membership import Member


class MembershipStore(Protocol):
    """Knows who is alive, by its own clock, so that nobody's clock has to be right."""

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        """Note that the member is alive and for how long that is to be believed; return all who are, ordered by id.

        Members whose lease ended long ago are forgotten.
        """
        ...

    async def leave(self, member_id: str) -> None:
        """Forget a member that has stopped. One that is unknown is no error."""
        ...
