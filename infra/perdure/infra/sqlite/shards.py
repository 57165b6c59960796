"""`ShardStore` on SQLite."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import apsw

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.shards import ShardLease, ShardLeases

ACQUIRE = """
    INSERT INTO shards (shard, epoch, owner) VALUES (?1, 1, ?2)
    ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1, owner = excluded.owner WHERE epoch = ifnull(?3, epoch)
    RETURNING shard, epoch"""

RELEASE = "UPDATE shards SET owner = '' WHERE shard = ? AND epoch = ?"

LEASES = "SELECT shard, epoch, owner FROM shards ORDER BY shard"


class SqliteShardStore:
    """See `perdure.kernel.persistence.shards.ShardStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def acquire(
        self, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None = None
    ) -> Mapping[ShardId, int]:
        seen = seen or {}

        def raise_epochs(cursor: apsw.Cursor) -> dict[ShardId, int]:
            return dict(cursor.executemany(ACQUIRE, [(shard, owner, seen.get(shard)) for shard in shards]))

        return await self._database.transaction(raise_epochs)

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        await self._database.transaction(lambda cursor: cursor.executemany(RELEASE, epochs.items()) and None)

    async def leases(self) -> ShardLeases:
        with self._database.reading() as cursor:
            return ShardLeases([ShardLease(*row) for row in cursor.execute(LEASES)])
