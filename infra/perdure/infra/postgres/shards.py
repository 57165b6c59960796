"""`ShardStore` on Postgres: the epoch of a shard is in the database that holds it, beside what it protects.

The fence: a commit locks the rows of its shards FOR SHARE and compares their epochs in its own transaction; to take a
shard is to update its row, which waits for such commits and makes later ones see the new epoch. When `acquire` returns,
what earlier owners wrote is committed, and nothing of theirs can be any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import asyncpg

from perdure.infra.postgres.database import Database
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.shards import ShardLease

#: What the owner of a shard is called while it moves to another database. Nobody takes it then.
MOVER = "(moving)"

#: Rows are locked in order, here and by commits, so that nobody waits in a circle.
ACQUIRE = f"""
    WITH locked AS MATERIALIZED (
        SELECT shard FROM shards WHERE shard = ANY ($1::integer[]) AND owner <> '{MOVER}'
        ORDER BY shard FOR NO KEY UPDATE
    )
    UPDATE shards SET epoch = epoch + 1, owner = $2 FROM locked WHERE shards.shard = locked.shard
    RETURNING shards.shard, epoch"""

RELEASE = """
    WITH locked AS MATERIALIZED (
        SELECT shard FROM shards JOIN unnest($1::integer[], $2::bigint[]) AS given (shard, epoch) USING (shard, epoch)
        ORDER BY shard FOR NO KEY UPDATE OF shards
    )
    UPDATE shards SET owner = '' FROM locked WHERE shards.shard = locked.shard"""

LEASES = "SELECT shard, epoch, owner FROM shards WHERE epoch > 0 ORDER BY shard"


class PostgresShardStore:
    """See `perdure.kernel.persistence.shards.ShardStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._databases = databases

    async def acquire(self, shards: Sequence[ShardId], owner: str) -> Mapping[ShardId, int]:
        if not shards:
            return {}
        # They may have moved since they were lost.
        await self._databases.refresh()

        async def take(database: Database, held: Sequence[ShardId]) -> Sequence[asyncpg.Record]:
            return await database.claims.run(lambda connection: connection.fetch(ACQUIRE, held, owner))

        taken = await asyncio.gather(*(take(database, held) for database, held in self._by_database(shards)))
        return {ShardId(shard): epoch for rows in taken for shard, epoch in rows}

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        for database, held in self._by_database(epochs):
            given = [epochs[shard] for shard in held]

            async def give(
                connection: asyncpg.Connection, held: list[ShardId] = held, given: list[int] = given
            ) -> None:
                await connection.execute(RELEASE, held, given)

            await database.claims.run(give)

    async def leases(self) -> Sequence[ShardLease]:
        found = await asyncio.gather(
            *(database.reads.run(lambda connection: connection.fetch(LEASES)) for database in self._databases)
        )
        # One that moves may be seen in both databases.
        return sorted({shard: ShardLease(shard, *rest) for rows in found for shard, *rest in rows}.values())

    def _by_database(self, shards: Iterable[ShardId]) -> list[tuple[Database, list[ShardId]]]:
        by_database: dict[str, tuple[Database, list[ShardId]]] = {}
        for shard in shards:
            database = self._databases.holding(shard)
            by_database.setdefault(database.name, (database, []))[1].append(shard)
        return list(by_database.values())
