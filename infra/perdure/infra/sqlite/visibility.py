"""`VisibilityStore` on SQLite: scans in the pool, pages by key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

import msgspec

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.infra.sqlite.visibility_query import (
    Fragment,
    OrderKey,
    compile_count,
    compile_list,
    compile_order,
)
from perdure.infra.sqlite.visibility_rows import read_record
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
        after = _open_token(page_token, namespace_id, query, keys) if page_token else ()
        # One row more than asked for tells whether there is another page.
        rows = await self._fetch(compile_list(namespace_id, query, keys, after, page_size + 1))
        records = [read_record(row[len(keys) :]) for row in rows[:page_size]]
        if len(rows) <= page_size:
            return VisibilityPage(records, b"")
        return VisibilityPage(records, _seal_token(namespace_id, query, rows[page_size - 1][: len(keys)]))

    async def count(self, namespace_id: NamespaceId, query: Query) -> tuple[int, Sequence[CountGroup]]:
        rows = await self._fetch(compile_count(namespace_id, query))
        groups = [CountGroup(row[:-1], row[-1]) for row in rows]
        return sum(group.count for group in groups), groups if query.group else []

    async def _fetch(self, statement: Fragment) -> Sequence[tuple[Any, ...]]:
        return await self._database.scan(lambda cursor: cursor.execute(*statement).fetchall())


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
