"""`NamespaceStore` on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import apsw
import msgspec
import structlog

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.namespaces import DamagedNamespace, NamespaceConflict

_log = structlog.get_logger("perdure.sqlite")

INSERT = """
    INSERT INTO namespaces (revision, name, version, checksum, record, namespace_id)
    VALUES (?, ?, ?, ?, ?, ?)"""

UPDATE = """
    UPDATE namespaces SET revision = ?, name = ?, version = ?, checksum = ?, record = ?
    WHERE namespace_id = ? AND version = ?"""

NEXT_REVISION = "UPDATE namespace_revision SET revision = revision + 1 RETURNING revision"

REVISION = "SELECT revision FROM namespace_revision"

DELETE = "DELETE FROM namespaces WHERE namespace_id = ?"
DELETE_CONFIGURATIONS = "DELETE FROM task_queues WHERE namespace_id = ?"
DELETE_DEPLOYMENTS = "DELETE FROM worker_deployments WHERE namespace_id = ?"

_RECORD = "SELECT name, checksum, record FROM namespaces "
BY_ID = _RECORD + "WHERE namespace_id = ?"
BY_NAME = _RECORD + "WHERE name = ?"
CHANGED = _RECORD + "WHERE revision > ? ORDER BY revision"
LIST = _RECORD + "WHERE name > ? ORDER BY name LIMIT ?"


class SqliteNamespaceStore:
    """See `perdure.kernel.persistence.namespaces.NamespaceStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self, namespace: Namespace) -> None:
        def insert(cursor: apsw.Cursor) -> None:
            try:
                cursor.execute(INSERT, (cursor.execute(NEXT_REVISION).get, *_row(namespace)))
            except apsw.ConstraintError:
                raise NamespaceConflict(f"namespace {namespace.name} or id {namespace.id} exists") from None

        await self._database.transaction(insert)

    async def update(self, namespace: Namespace) -> None:
        def replace(cursor: apsw.Cursor) -> None:
            try:
                revision = cursor.execute(NEXT_REVISION).get
                cursor.execute(UPDATE, (revision, *_row(namespace), namespace.version - 1))
            except apsw.ConstraintError:
                raise NamespaceConflict(f"namespace {namespace.name} exists") from None
            if cursor.connection.changes() != 1:
                raise NamespaceConflict(f"namespace {namespace.name} was changed by somebody else")

        await self._database.transaction(replace)

    async def delete(self, namespace_id: NamespaceId) -> None:
        def delete(cursor: apsw.Cursor) -> None:
            cursor.execute(DELETE_CONFIGURATIONS, (namespace_id,))
            cursor.execute(DELETE_DEPLOYMENTS, (namespace_id,))
            cursor.execute(DELETE, (namespace_id,))

        await self._database.transaction(delete)

    async def by_id(self, namespace_id: NamespaceId) -> Namespace | None:
        return self._first(BY_ID, namespace_id)

    async def by_name(self, name: NamespaceName) -> Namespace | None:
        return self._first(BY_NAME, name)

    async def list(self, after: NamespaceName | None, limit: int) -> Sequence[Namespace]:
        found: list[Namespace] = []
        with self._database.reading() as cursor:
            while rows := cursor.execute(LIST, (after or "", limit - len(found))).fetchall():
                found += _undamaged(rows)
                after = NamespaceName(str(rows[-1][0]))
        return found

    async def revision(self) -> int:
        with self._database.reading() as cursor:
            return int(cursor.execute(REVISION).get)

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Namespace]]:
        with self._database.reading_consistently() as cursor:
            changed = list(_undamaged(cursor.execute(CHANGED, (revision,))))
            return int(cursor.execute(REVISION).get), changed

    def _first(self, statement: str, parameter: str) -> Namespace | None:
        with self._database.reading() as cursor:
            row = cursor.execute(statement, (parameter,)).get
        return None if row is None else _namespace(*row)


def _row(namespace: Namespace) -> tuple[str, int, int, bytes, str]:
    record = msgspec.msgpack.encode(namespace)
    return namespace.name, namespace.version, crc32(record), record, namespace.id


def _namespace(name: str, checksum: int, record: bytes) -> Namespace:
    if crc32(record) != checksum:
        raise DamagedNamespace(name)
    return msgspec.msgpack.decode(record, type=Namespace)


def _undamaged(rows: Iterable[Sequence[Any]]) -> Iterator[Namespace]:
    for row in rows:
        try:
            yield _namespace(*row)
        except DamagedNamespace as error:
            _log.error("a namespace is passed over", error=str(error))
