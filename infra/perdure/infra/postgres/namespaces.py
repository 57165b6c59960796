"""`NamespaceStore` on Postgres, in the directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import asyncpg
import msgspec
import structlog

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.namespaces import DamagedNamespace, NamespaceConflict

_log = structlog.get_logger("perdure.postgres")

#: The lock on the revision is held until the commit: who reads a revision has seen every change up to it.
_NEXT_REVISION = "WITH next AS (UPDATE namespace_revision SET revision = revision + 1 RETURNING revision) "

INSERT = (
    _NEXT_REVISION
    + """
    INSERT INTO namespaces (revision, namespace_id, name, version, checksum, record)
    SELECT revision, $1, $2, $3, $4, $5 FROM next"""
)

UPDATE = (
    _NEXT_REVISION
    + """
    UPDATE namespaces SET revision = next.revision, name = $2, version = $3, checksum = $4, record = $5
    FROM next WHERE namespace_id = $1 AND version = $3 - 1
    RETURNING true"""
)

#: With it goes what is kept of its task queues and of its worker deployments.
DELETE = """
    WITH configured AS (DELETE FROM task_queues WHERE namespace_id = $1),
        deployments AS (DELETE FROM worker_deployments WHERE namespace_id = $1)
    DELETE FROM namespaces WHERE namespace_id = $1"""

_RECORD = "SELECT name, checksum, record FROM namespaces "
BY_ID = _RECORD + "WHERE namespace_id = $1"
BY_NAME = _RECORD + "WHERE name = $1"
LIST = _RECORD + "WHERE name > $1 ORDER BY name LIMIT $2"

REVISION = "SELECT revision FROM namespace_revision"

#: The revision and every change since, as of one moment; nulls where nothing has changed.
CHANGED = """
    SELECT now.revision, changed.name, changed.checksum, changed.record
    FROM namespace_revision AS now LEFT JOIN namespaces AS changed ON changed.revision > $1
    ORDER BY changed.revision"""


class PostgresNamespaceStore:
    """See `perdure.kernel.persistence.namespaces.NamespaceStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def create(self, namespace: Namespace) -> None:
        async def insert(connection: asyncpg.Connection) -> None:
            try:
                await connection.execute(INSERT, *_row(namespace))
            except asyncpg.UniqueViolationError:
                raise NamespaceConflict(f"namespace {namespace.name} or id {namespace.id} exists") from None

        await self._directory.writes.run(insert)

    async def update(self, namespace: Namespace) -> None:
        async def replace(connection: asyncpg.Connection) -> None:
            try:
                replaced = await connection.fetchval(UPDATE, *_row(namespace))
            except asyncpg.UniqueViolationError:
                raise NamespaceConflict(f"namespace {namespace.name} exists") from None
            if not replaced:
                raise NamespaceConflict(f"namespace {namespace.name} was changed by somebody else")

        await self._directory.writes.run(replace)

    async def delete(self, namespace_id: NamespaceId) -> None:
        await self._directory.writes.run(lambda connection: connection.execute(DELETE, namespace_id))

    async def by_id(self, namespace_id: NamespaceId) -> Namespace | None:
        return await self._first(BY_ID, namespace_id)

    async def by_name(self, name: NamespaceName) -> Namespace | None:
        return await self._first(BY_NAME, name)

    async def list(self, after: NamespaceName | None, limit: int) -> Sequence[Namespace]:
        found: list[Namespace] = []
        while rows := await self._fetch(LIST, after or "", limit - len(found)):
            found += _undamaged(rows)
            after = rows[-1]["name"]
        return found

    async def revision(self) -> int:
        rows = await self._fetch(REVISION)
        return int(rows[0]["revision"])

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Namespace]]:
        rows = await self._fetch(CHANGED, revision)
        return rows[0]["revision"], list(_undamaged(found for _, *found in rows if found[0] is not None))

    async def _first(self, statement: str, parameter: str) -> Namespace | None:
        if "\0" in parameter:  # Which no text of Postgres has.
            return None
        rows = await self._fetch(statement, parameter)
        return _namespace(*rows[0]) if rows else None

    async def _fetch(self, statement: str, *parameters: Any) -> Sequence[asyncpg.Record]:
        return await self._directory.reads.run(lambda connection: connection.fetch(statement, *parameters))


def _row(namespace: Namespace) -> tuple[str, str, int, int, bytes]:
    record = msgspec.msgpack.encode(namespace)
    return namespace.id, namespace.name, namespace.version, crc32(record), record


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
