"""`ClusterStore` on SQLite."""

from __future__ import annotations

import apsw

from perdure.infra.sqlite.database import SqliteDatabase

KEEP = "INSERT OR IGNORE INTO cluster (only, id) VALUES (1, ?)"

ID = "SELECT id FROM cluster"


class SqliteClusterStore:
    """See `perdure.kernel.persistence.cluster.ClusterStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def identify(self, proposed: str) -> str:
        with self._database.reading() as cursor:
            known: str | None = cursor.execute(ID).get
        if known is not None:
            return known

        def keep(cursor: apsw.Cursor) -> str:
            cursor.execute(KEEP, (proposed,))
            return str(cursor.execute(ID).get)

        return await self._database.transaction(keep)
