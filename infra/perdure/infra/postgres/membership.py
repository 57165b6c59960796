"""`MembershipStore` on Postgres, in the directory: leases by the clock of that database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.clock import SECOND_NS
from perdure.kernel.membership import Member, Role

#: The rest of the statement does not see the row that it writes, so that comes from the writing. Those whose lease
#: ended long ago are forgotten in passing, unless somebody else is at it.
BEAT = """
    WITH this AS (
        INSERT INTO members (id, address, roles, leaving, alive_until)
        VALUES ($1, $2, $3, $4, clock_timestamp() + $5::bigint * interval '1 microsecond')
        ON CONFLICT (id) DO UPDATE SET
            address = excluded.address, roles = excluded.roles, leaving = excluded.leaving,
            alive_until = excluded.alive_until
        RETURNING id, address, roles, leaving
    ), forgotten AS (
        DELETE FROM members WHERE id IN (
            SELECT id FROM members WHERE id <> $1 AND alive_until < clock_timestamp() - interval '1 hour'
            FOR UPDATE SKIP LOCKED)
    )
    SELECT id, address, roles, leaving FROM members WHERE id <> $1 AND alive_until > clock_timestamp()
    UNION ALL SELECT id, address, roles, leaving FROM this
    ORDER BY id"""

#: A beat that hangs leaves time in its lease for others, on other connections ...
_TRIES_PER_LEASE = 3
#: ... but no operation gets less than this, which a server that is merely busy may need for a new connection.
BEAT_S_MIN = 1.0

ADDRESSES = "SELECT id, address FROM members"

LEAVE = "DELETE FROM members WHERE id = $1"


class PostgresMembershipStore:
    """See `perdure.kernel.persistence.membership.MembershipStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def beat(self, member: Member, lease_ns: int) -> Sequence[Member]:
        roles = sorted(member.roles)

        rows = await self._directory.beats.run(
            lambda connection: connection.fetch(
                BEAT, member.id, member.address, roles, member.leaving, lease_ns // 1000
            ),
            within_s=max(lease_ns / SECOND_NS / _TRIES_PER_LEASE, BEAT_S_MIN),
        )
        return [_member(*row) for row in rows]

    async def addresses(self) -> Mapping[str, str]:
        """Addresses by member id, of those who are or were members lately. For people to read."""
        return dict(await self._directory.reads.run(lambda connection: connection.fetch(ADDRESSES)))

    async def leave(self, member_id: str) -> None:
        await self._directory.beats.run(lambda connection: connection.execute(LEAVE, member_id), within_s=BEAT_S_MIN)


def _member(member_id: str, address: str, roles: Sequence[str], leaving: bool) -> Member:
    # A member of another version may have roles that we do not know.
    return Member(member_id, address, frozenset(role for role in Role if role in roles), leaving)
