"""`UsageStore` on SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.infra.sqlite.executions import ADD_STORAGE
from perdure.kernel.persistence.usage import Action, ActionCount, HourOfBytes, Storage, integrated

ACTIONS = """
    SELECT namespace_id, hour, action, type, background, count FROM usage
    WHERE namespace_id = ? AND hour < ? AND (hour, action, type, background) > (?, ?, ?, ?)
    ORDER BY hour, action, type, background LIMIT ?"""

BEFORE = """
    SELECT coalesce(sum(active), 0), coalesce(sum(retained), 0) FROM storage WHERE namespace_id = ? AND hour < ?"""

HOURS = """
    SELECT hour, active, active_byte_ms, retained, retained_byte_ms FROM storage
    WHERE namespace_id = ? AND hour >= ? AND hour < ?"""

OLD_USAGE = "SELECT namespace_id, hour, action, type, background FROM usage WHERE hour < ? LIMIT ?"

FORGET_USAGE = """
    DELETE FROM usage WHERE namespace_id = ? AND hour = ? AND action = ? AND type = ? AND background = ?"""

OLD_STORAGE = """
    SELECT namespace_id, hour, active, retained FROM storage WHERE hour > 0 AND hour < ? LIMIT ?"""

FORGET_STORAGE = "DELETE FROM storage WHERE namespace_id = ? AND hour = ?"


Row = tuple[Any, ...]


class SqliteUsageStore:
    """See `perdure.kernel.persistence.usage.UsageStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def actions(
        self, namespace_id: str, from_hour: int, until_hour: int, after: Action | None, limit: int
    ) -> Sequence[ActionCount]:
        position = after[1:] if after is not None and after.hour >= from_hour else (from_hour, "", "", -1)

        def read(cursor: apsw.Cursor) -> list[ActionCount]:
            rows = cursor.execute(ACTIONS, (namespace_id, until_hour, *position, limit))
            return [
                ActionCount(Action(namespace, hour, action, kind, bool(background)), times)
                for namespace, hour, action, kind, background, times in rows
            ]

        return await self._database.scan(read)

    async def storage(self, namespace_id: str, from_hour: int, until_hour: int, now_ms: int) -> Sequence[Storage]:
        def read(cursor: apsw.Cursor) -> list[Storage]:
            cursor.execute("BEGIN")
            try:
                before: Row = cursor.execute(BEFORE, (namespace_id, from_hour)).fetchall()[0]
                rows: list[Row] = cursor.execute(HOURS, (namespace_id, from_hour, until_hour)).fetchall()
            finally:
                cursor.execute("COMMIT")
            hours = {hour: HourOfBytes(*sums) for hour, *sums in rows}
            active, retained = before
            return integrated(HourOfBytes(active=active, retained=retained), hours, from_hour, until_hour, now_ms)

        return await self._database.scan(read)

    async def forget(self, before_hour: int, limit: int) -> int:
        def forget_some(cursor: apsw.Cursor) -> int:
            usage = cursor.execute(OLD_USAGE, (before_hour, limit)).fetchall()
            cursor.executemany(FORGET_USAGE, usage)
            storage = cursor.execute(OLD_STORAGE, (before_hour, limit)).fetchall()
            cursor.executemany(FORGET_STORAGE, [row[:2] for row in storage])
            cursor.executemany(
                ADD_STORAGE,
                [(namespace_id, 0, active, 0, retained, 0) for namespace_id, _, active, retained in storage],
            )
            return len(usage) + len(storage)

        return await self._database.transaction(forget_some)
