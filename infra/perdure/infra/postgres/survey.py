"""What the databases know about the cluster, read for people."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from perdure.infra.postgres.databases import PostgresDatabases

MEMBERS = """
    SELECT id, address, roles, leaving, extract(epoch FROM alive_until - clock_timestamp())::float8
    FROM members ORDER BY address, id"""

#: Lags are unknown to who may not see them, and the one in seconds also while nothing is written.
REPLICAS = """
    SELECT application_name, coalesce(host(client_addr), ''), coalesce(state, ''), coalesce(sync_state, ''),
        CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)::bigint END,
        extract(epoch FROM replay_lag)::float8
    FROM pg_stat_replication ORDER BY 1, 2"""


class MemberRow(NamedTuple):
    """`lease_left_s` is below 0 for who is not alive any more."""

    id: str
    address: str
    roles: list[str]
    leaving: bool
    lease_left_s: float


class Replica(msgspec.Struct, frozen=True):
    """A replica of one of the databases, and how far behind it is; None where that is not known."""

    database: str
    name: str
    address: str
    state: str
    sync_state: str
    lag_bytes: int | None
    lag_s: float | None


async def members(databases: PostgresDatabases) -> Sequence[MemberRow]:
    """Who is or was lately a member. Raises StoreError."""
    rows = await databases.directory.reads.run(lambda connection: connection.fetch(MEMBERS))
    return [MemberRow(*row) for row in rows]


async def replicas(databases: PostgresDatabases) -> Sequence[Replica]:
    """The replicas of all databases. Raises StoreError."""
    found = await asyncio.gather(
        *(database.scans.run(lambda connection: connection.fetch(REPLICAS)) for database in databases)
    )
    return [Replica(database.name, *row) for database, rows in zip(databases, found, strict=True) for row in rows]
