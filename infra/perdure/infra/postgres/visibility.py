"""`VisibilityStore` on Postgres: every database is asked, and what they answer is merged."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.dialect import PostgresDialect, held, numbered
from perdure.infra.visibility.compiler import Compiler, OrderKey
from perdure.infra.visibility.dialect import Fragment
from perdure.infra.visibility.groups import ordered_groups
from perdure.infra.visibility.rows import read_record
from perdure.infra.visibility.tokens import open_token, seal_token
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.visibility import CountGroup, VisibilityPage
from perdure.kernel.visibility.query import Query

Rows = list[asyncpg.Record]


class PostgresVisibilityStore:
    """See `perdure.kernel.persistence.visibility.VisibilityStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._databases = databases
        self._compiler = Compiler(PostgresDialect())

    async def list(self, namespace_id: NamespaceId, query: Query, page_size: int, page_token: bytes) -> VisibilityPage:
        keys = self._compiler.order(query.order)
        after = open_token(page_token, namespace_id, query, keys) if page_token else ()
        # One row more than asked for tells whether there is another page. Any database may hold the whole page.
        rows = await self._fetch(self._compiler.list(namespace_id, query, keys, after, page_size + 1))
        if len(self._databases) > 1:
            _sort(rows, keys)
        records = [read_record(row[len(keys) :]) for row in rows[:page_size]]
        if len(rows) <= page_size:
            return VisibilityPage(records, b"")
        return VisibilityPage(records, seal_token(namespace_id, query, rows[page_size - 1][: len(keys)]))

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        groups = ordered_groups(await self._fetch(self._compiler.count(namespace_id, query)))
        return sum(group.count for group in groups), groups if query.group else []

    async def _fetch(self, statement: Fragment) -> Rows:
        sql, parameters = numbered(statement)
        found = await self._databases.ask_all(
            lambda database: database.scans,
            lambda connection, shards: connection.fetch(sql, *held(parameters, shards)),
        )
        return [row for rows in found for row in rows]


def _sort(rows: Rows, keys: Sequence[OrderKey]) -> None:
    """Sort as the databases do: None is below everything, texts are ordered by their characters' numbers."""
    for place, key in reversed(list(enumerate(keys))):
        rows.sort(key=lambda row, place=place: (row[place] is not None, row[place]), reverse=key.descending)  # type: ignore[misc]
