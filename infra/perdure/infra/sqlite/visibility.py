"""`VisibilityStore` on SQLite: scans in the pool, pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.infra.sqlite.visibility_dialect import SqliteDialect
from perdure.infra.visibility.compiler import Compiler
from perdure.infra.visibility.dialect import Fragment
from perdure.infra.visibility.groups import ordered_groups
from perdure.infra.visibility.rows import read_record
from perdure.infra.visibility.tokens import open_token, seal_token
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.visibility import CountGroup, VisibilityPage
from perdure.kernel.visibility.query import Query


class SqliteVisibilityStore:
    """See `perdure.kernel.persistence.visibility.VisibilityStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database
        self._compiler = Compiler(SqliteDialect())

    async def list(self, namespace_id: NamespaceId, query: Query, page_size: int, page_token: bytes) -> VisibilityPage:
        keys = self._compiler.order(query.order)
        after = open_token(page_token, namespace_id, query, keys) if page_token else ()
        # One row more than asked for tells whether there is another page.
        rows = await self._fetch(self._compiler.list(namespace_id, query, keys, after, page_size + 1))
        records = [read_record(row[len(keys) :]) for row in rows[:page_size]]
        if len(rows) <= page_size:
            return VisibilityPage(records, b"")
        return VisibilityPage(records, seal_token(namespace_id, query, rows[page_size - 1][: len(keys)]))

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        rows = await self._fetch(self._compiler.count(namespace_id, query))
        groups = ordered_groups(rows)
        return sum(group.count for group in groups), groups if query.group else []

    async def _fetch(self, statement: Fragment) -> Sequence[tuple[Any, ...]]:
        return await self._database.scan(lambda cursor: cursor.execute(*statement).fetchall())
