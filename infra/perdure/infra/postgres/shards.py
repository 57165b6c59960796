"""`ShardStore` on Postgres: the epoch of a shard is in the database that holds it, beside what it protects.

The fence: a commit locks the rows of its shards FOR SHARE and compares their epochs in its own transaction; to take a
shard is to update its row, which waits for such commits and makes later ones see the new epoch. When `acquire` returns,
what earlier owners wrote is committed, and nothing of theirs can be any more. Of several who want to take a shard that
they have seen in the same epoch the first gets it: the others wait for its row, and find another epoch there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import TypeVar

import asyncpg
import structlog

from perdure.infra.postgres.database import Database
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import StoreError
from perdure.kernel.persistence.shards import ShardLease, ShardLeases

logger = structlog.get_logger(__name__)

R = TypeVar("R")

#: How long a database may take to say who owns its shards, and every other time after it did not. The shards of the
#: others wait for it, and a new connection to a busy server takes its time.
_LOOK_S_MAX, _LOOK_AGAIN_S_MAX = 2.0, 0.5
#: How long it may take to have shards taken from it, which waits for writes of others, or given back.
_TAKE_S_MAX, _GIVE_S_MAX = 5.0, 2.0

#: What the owner of a shard is called while it moves to another database. Nobody takes it then.
MOVER = "(moving)"

#: Rows are locked in order, here and by commits, so that nobody waits in a circle.
ACQUIRE = f"""
    WITH locked AS MATERIALIZED (
        SELECT shard FROM shards JOIN unnest($1::integer[], $3::bigint[]) AS wanted (shard, seen) USING (shard)
        WHERE owner <> '{MOVER}' AND epoch = coalesce(seen, epoch)
        ORDER BY shard FOR NO KEY UPDATE OF shards
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
        #: Databases that could not be read when we last looked, and how many looks have failed since they could.
        self._unread: Counter[str] = Counter()

    async def acquire(
        self, shards: Sequence[ShardId], owner: str, seen: Mapping[ShardId, int] | None = None
    ) -> Mapping[ShardId, int]:
        if not shards:
            return {}
        seen = seen or {}
        # They may have moved since they were lost.
        await self._databases.refresh()

        async def take(database: Database, held: Sequence[ShardId]) -> Sequence[asyncpg.Record]:
            await self._databases.check(database)
            epochs = [seen.get(shard) for shard in held]
            return await database.claims.run(
                lambda connection: connection.fetch(ACQUIRE, held, owner, epochs), within_s=_TAKE_S_MAX
            )

        taken, errors = await _each((database, take(database, held)) for database, held in self._by_database(shards))
        if errors and not taken:
            raise next(iter(errors.values()))
        for name, error in errors.items():
            logger.warning("the shards of a database could not be taken", database=name, error=str(error))
        return {ShardId(shard): epoch for rows in taken.values() for shard, epoch in rows}

    async def release(self, epochs: Mapping[ShardId, int]) -> None:
        async def give(database: Database, held: Sequence[ShardId]) -> None:
            given = [epochs[shard] for shard in held]
            await database.claims.run(lambda connection: connection.execute(RELEASE, held, given), within_s=_GIVE_S_MAX)

        _, errors = await _each((database, give(database, held)) for database, held in self._by_database(epochs))
        if errors:
            raise next(iter(errors.values()))

    async def leases(self) -> ShardLeases:
        async def look(database: Database) -> Sequence[asyncpg.Record]:
            limit_s = _LOOK_AGAIN_S_MAX if self._unread[database.name] % 2 else _LOOK_S_MAX
            # Not behind those who read executions, of whom there may be many.
            return await database.claims.run(lambda connection: connection.fetch(LEASES), within_s=limit_s)

        found, errors = await _each((database, look(database)) for database in self._databases)
        if not found:
            raise next(iter(errors.values()))
        for name in errors.keys() - self._unread.keys():
            logger.warning("the owners of a database's shards are unknown", database=name, error=str(errors[name]))
        self._unread = Counter({name: self._unread[name] + 1 for name in errors})
        known: dict[ShardId, ShardLease] = {}
        for name, rows in found.items():
            for shard, *rest in rows:
                # One that moves may be seen in both databases: what counts is where it is by the map.
                if shard not in known or self._databases.holding(shard).name == name:
                    known[shard] = ShardLease(shard, *rest)
        unknown = {shard for name in errors for shard in self._databases.held_by(name)}
        return ShardLeases(sorted(known.values()), unknown - known.keys())

    def _by_database(self, shards: Iterable[ShardId]) -> list[tuple[Database, list[ShardId]]]:
        by_database: dict[str, tuple[Database, list[ShardId]]] = {}
        for shard in shards:
            database = self._databases.holding(shard)
            by_database.setdefault(database.name, (database, []))[1].append(shard)
        return list(by_database.values())


async def _each(asked: Iterable[tuple[Database, Awaitable[R]]]) -> tuple[dict[str, R], dict[str, StoreError]]:
    """The answers of databases by their names, and the errors of those that have none."""
    asked = list(asked)
    answers: dict[str, R] = {}
    errors: dict[str, StoreError] = {}
    results = await asyncio.gather(*(question for _, question in asked), return_exceptions=True)
    for (database, _), answer in zip(asked, results, strict=True):
        if isinstance(answer, StoreError):
            errors[database.name] = answer
        elif isinstance(answer, BaseException):
            raise answer
        else:
            answers[database.name] = answer
    return answers, errors
