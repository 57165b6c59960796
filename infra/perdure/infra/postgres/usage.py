"""`UsageStore` on Postgres: every database is asked about the shards that it holds, and the answers are added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import asyncpg

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.persistence.usage import Action, ActionCount, HourOfBytes, Storage, integrated

#: `shard + 0`, so that the index is used which begins with the namespace.
_HELD = "shard + 0 = ANY ($1::integer[])"

ACTIONS = f"""
    SELECT namespace_id, hour, action, type, background, sum(count)::bigint FROM usage
    WHERE {_HELD} AND namespace_id = $2 AND hour >= $3 AND hour < $4
      AND (hour, action, type, background) > ($3, $5, $6, $7)
    GROUP BY namespace_id, hour, action, type, background ORDER BY hour, action, type, background LIMIT $8"""

#: Hours before the first are added up.
STORAGE = f"""
    SELECT greatest(hour, $3 - 1), sum(active)::bigint, sum(active_byte_ms)::bigint,
           sum(retained)::bigint, sum(retained_byte_ms)::bigint
    FROM storage WHERE {_HELD} AND namespace_id = $2 AND hour < $4 GROUP BY 1"""

#: Of shards that are elsewhere, or on their way, nothing is removed.
_OLD = "hour < $1 AND shard IN (SELECT shard FROM shards) LIMIT $2"

FORGET_USAGE = f"DELETE FROM usage WHERE ctid = ANY (ARRAY(SELECT ctid FROM usage WHERE {_OLD}))"

FORGET_STORAGE = f"""
    WITH old AS (
        DELETE FROM storage WHERE ctid = ANY (ARRAY(SELECT ctid FROM storage WHERE hour > 0 AND {_OLD}))
        RETURNING shard, namespace_id, active, retained
    ), kept AS (
        INSERT INTO storage (shard, namespace_id, hour, active, active_byte_ms, retained, retained_byte_ms)
        SELECT shard, namespace_id, 0, sum(active), 0, sum(retained), 0 FROM old GROUP BY shard, namespace_id
        ON CONFLICT (shard, namespace_id, hour) DO UPDATE SET
            active = storage.active + excluded.active, retained = storage.retained + excluded.retained
    )
    SELECT count(*) FROM old"""


class PostgresUsageStore:
    """See `perdure.kernel.persistence.usage.UsageStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._databases = databases

    async def actions(
        self, namespace_id: str, from_hour: int, until_hour: int, after: Action | None, limit: int
    ) -> Sequence[ActionCount]:
        # Before all actions of the first hour there is the one without a name.
        position = after[1:] if after is not None and after.hour >= from_hour else (from_hour, "", "", False)
        hour, *rest = position
        found = await self._databases.ask_all(
            lambda database: database.scans,
            lambda connection, shards: connection.fetch(ACTIONS, shards, namespace_id, hour, until_hour, *rest, limit),
        )
        counts: Counter[Action] = Counter()
        for *key, count in (row for rows in found for row in rows):
            counts[Action(*key)] += count
        # Each has sent its first ones, so the first ones of all are whole.
        return [ActionCount(action, counts[action]) for action in sorted(counts)[:limit]]

    async def storage(self, namespace_id: str, from_hour: int, until_hour: int, now_ms: int) -> Sequence[Storage]:
        found = await self._databases.ask_all(
            lambda database: database.scans,
            lambda connection, shards: connection.fetch(STORAGE, shards, namespace_id, from_hour, until_hour),
        )
        hours: dict[int, HourOfBytes] = {}
        for hour, *sums in (row for rows in found for row in rows):
            hours[hour] = hours.get(hour, HourOfBytes()).plus(HourOfBytes(*sums))
        before = hours.pop(from_hour - 1, HourOfBytes())
        return integrated(before, hours, from_hour, until_hour, now_ms)

    async def forget(self, before_hour: int, limit: int) -> int:
        async def forget_some(connection: asyncpg.Connection) -> int:
            usage = await connection.execute(FORGET_USAGE, before_hour, limit)
            storage = await connection.fetchval(FORGET_STORAGE, before_hour, limit)
            return int(usage.rpartition(" ")[2]) + int(storage)

        removed = 0
        for database in self._databases:
            removed += await database.writes.run(forget_some)
        return removed
