"""`VisibilityStore` on SQLite: scans in the pool, pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import apsw
import msgspec

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.infra.sqlite.visibility_query import (
    Fragment,
    OrderKey,
    compile_after,
    compile_condition,
    compile_order,
    compile_value,
)
from perdure.infra.sqlite.visibility_rows import COLUMNS, read_record
from perdure.kernel.errors import InvalidArgument
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.visibility import CountGroup, VisibilityPage
from perdure.kernel.visibility.query import Query


class SqliteVisibilityStore:
    """See `perdure.kernel.persistence.visibility.VisibilityStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def list(self, namespace_id: NamespaceId, query: Query, page_size: int, page_token: bytes) -> VisibilityPage:
        keys = compile_order(query.order)
        where = _where(namespace_id, query)
        if page_token:
            after = compile_after(keys, _open_token(page_token, namespace_id, query, keys))
            where = Fragment(f"{where.sql} AND {after.sql}", where.parameters + after.parameters)
        values = ", ".join(key.expression.sql for key in keys)
        order = ", ".join(f"{number} {'DESC' if key.descending else 'ASC'}" for number, key in enumerate(keys, start=1))
        statement = f"SELECT {values}, {COLUMNS} FROM visibility WHERE {where.sql} ORDER BY {order} LIMIT ?"
        of_values = tuple(parameter for key in keys for parameter in key.expression.parameters)
        # One row more than asked for tells whether there is another page.
        parameters = (*of_values, *where.parameters, page_size + 1)
        rows = await self._database.scan(lambda cursor: _fetch(cursor, statement, parameters))
        records = [read_record(row[len(keys) :]) for row in rows[:page_size]]
        has_more = len(rows) > page_size
        return VisibilityPage(
            records, _seal_token(namespace_id, query, rows[page_size - 1][: len(keys)]) if has_more else b""
        )

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        where = _where(namespace_id, query)
        groups = [compile_value(attribute) for attribute in query.group]
        values = "".join(f"{group.sql}, " for group in groups)
        by = ", ".join(str(number) for number in range(1, len(groups) + 1))
        statement = f"SELECT {values}count(*) FROM visibility WHERE {where.sql}" + (
            f" GROUP BY {by} ORDER BY count(*) DESC, {by}" if groups else ""
        )
        parameters = tuple(parameter for group in groups for parameter in group.parameters) + where.parameters
        rows = await self._database.scan(lambda cursor: _fetch(cursor, statement, parameters))
        counted = [CountGroup(row[:-1], row[-1]) for row in rows]
        return sum(group.count for group in counted), counted if groups else []


def _fetch(cursor: apsw.Cursor, statement: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return cursor.execute(statement, parameters).fetchall()


def _where(namespace_id: NamespaceId, query: Query) -> Fragment:
    if query.condition is None:
        return Fragment("namespace_id = ?", (namespace_id,))
    sql, parameters = compile_condition(query.condition, namespace_id)
    return Fragment(f"namespace_id = ? AND {sql}", (namespace_id, *parameters))


def _fingerprint(namespace_id: NamespaceId, query: Query) -> int:
    return crc32(f"{namespace_id} {query!r}".encode())


def _seal_token(namespace_id: NamespaceId, query: Query, values: Sequence[Any]) -> bytes:
    return msgspec.msgpack.encode([_fingerprint(namespace_id, query), *values])


def _open_token(token: bytes, namespace_id: NamespaceId, query: Query, keys: Sequence[OrderKey]) -> Sequence[Any]:
    try:
        fingerprint, *values = msgspec.msgpack.decode(token, type=list[str | int | float | None])
    except (msgspec.DecodeError, ValueError):
        raise InvalidArgument("Invalid NextPageToken.") from None
    if fingerprint != _fingerprint(namespace_id, query) or len(values) != len(keys):
        raise InvalidArgument("Invalid NextPageToken.")
    return values
