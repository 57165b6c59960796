"""`NexusEndpointStore` on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import apsw
import msgspec
import structlog

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.nexus_endpoints import DamagedNexusEndpoint, NexusEndpointConflict

_log = structlog.get_logger("perdure.sqlite")

INSERT = """
    INSERT INTO nexus_endpoints (account_id, name, version, checksum, record, endpoint_id)
    VALUES (?, ?, ?, ?, ?, ?)"""

UPDATE = """
    UPDATE nexus_endpoints SET account_id = ?, name = ?, version = ?, checksum = ?, record = ?
    WHERE endpoint_id = ? AND version = ?"""

DELETE = "DELETE FROM nexus_endpoints WHERE endpoint_id = ?"

_RECORD = "SELECT name, checksum, record, endpoint_id FROM nexus_endpoints "
BY_ID = _RECORD + "WHERE endpoint_id = ?"
BY_NAME = _RECORD + "WHERE account_id = ? AND name = ?"
LIST = _RECORD + "WHERE account_id = ? AND endpoint_id > ? ORDER BY endpoint_id LIMIT ?"


class SqliteNexusEndpointStore:
    """See `perdure.kernel.persistence.nexus_endpoints.NexusEndpointStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def create(self, endpoint: NexusEndpoint) -> None:
        def insert(cursor: apsw.Cursor) -> None:
            try:
                cursor.execute(INSERT, _row(endpoint))
            except apsw.ConstraintError:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} or id {endpoint.id} exists") from None

        await self._database.transaction(insert)

    async def update(self, endpoint: NexusEndpoint) -> None:
        def replace(cursor: apsw.Cursor) -> None:
            try:
                cursor.execute(UPDATE, (*_row(endpoint), endpoint.version - 1))
            except apsw.ConstraintError:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} exists") from None
            if cursor.connection.changes() != 1:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} was changed by somebody else")

        await self._database.transaction(replace)

    async def delete(self, endpoint_id: str) -> bool:
        def delete(cursor: apsw.Cursor) -> bool:
            cursor.execute(DELETE, (endpoint_id,))
            return bool(cursor.connection.changes())

        return await self._database.transaction(delete)

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None:
        return self._first(BY_ID, endpoint_id)

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        return self._first(BY_NAME, account_id, name)

    async def list(self, account_id: str, after: str, limit: int) -> Sequence[NexusEndpoint]:
        found: list[NexusEndpoint] = []
        with self._database.reading() as cursor:
            while rows := cursor.execute(LIST, (account_id, after, limit - len(found))).fetchall():
                found += _undamaged(rows)
                after = str(rows[-1][3])
        return found

    def _first(self, statement: str, *parameters: str) -> NexusEndpoint | None:
        with self._database.reading() as cursor:
            row = cursor.execute(statement, parameters).get
        return None if row is None else _endpoint(*row)


def _row(endpoint: NexusEndpoint) -> tuple[str, str, int, int, bytes, str]:
    record = msgspec.msgpack.encode(endpoint)
    return (
        endpoint.account_id,
        endpoint.name,
        endpoint.version,
        crc32(record),
        record,
        endpoint.id,
    )


def _endpoint(name: str, checksum: int, record: bytes, _: str) -> NexusEndpoint:
    if crc32(record) != checksum:
        raise DamagedNexusEndpoint(name)
    return msgspec.msgpack.decode(record, type=NexusEndpoint)


def _undamaged(rows: Iterable[Sequence[Any]]) -> Iterator[NexusEndpoint]:
    for name, checksum, record, endpoint_id in rows:
        try:
            yield _endpoint(name, checksum, record, endpoint_id)
        except DamagedNexusEndpoint as error:
            _log.error("a Nexus endpoint is passed over", error=str(error))
