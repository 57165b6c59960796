"""`NexusEndpointStore` on Postgres, in the directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import asyncpg
import msgspec
import structlog

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.nexus import NexusEndpoint
from perdure.kernel.persistence.nexus_endpoints import DamagedNexusEndpoint, NexusEndpointConflict

_log = structlog.get_logger("perdure.postgres")

INSERT = """
    INSERT INTO nexus_endpoints (endpoint_id, account_id, name, version, checksum, record)
    VALUES ($1, $2, $3, $4, $5, $6)"""

UPDATE = """
    UPDATE nexus_endpoints
    SET account_id = $2, name = $3, version = $4, checksum = $5, record = $6
    WHERE endpoint_id = $1 AND version = $4 - 1
    RETURNING true"""

DELETE = "DELETE FROM nexus_endpoints WHERE endpoint_id = $1 RETURNING true"

_RECORD = "SELECT endpoint_id, name, checksum, record FROM nexus_endpoints "
BY_ID = _RECORD + "WHERE endpoint_id = $1"
BY_NAME = _RECORD + "WHERE account_id = $1 AND name = $2"
LIST = _RECORD + "WHERE account_id = $1 AND endpoint_id > $2 ORDER BY endpoint_id LIMIT $3"


class PostgresNexusEndpointStore:
    """See `perdure.kernel.persistence.nexus_endpoints.NexusEndpointStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def create(self, endpoint: NexusEndpoint) -> None:
        async def insert(connection: asyncpg.Connection) -> None:
            try:
                await connection.execute(INSERT, *_row(endpoint))
            except asyncpg.UniqueViolationError:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} or id {endpoint.id} exists") from None

        await self._directory.writes.run(insert)

    async def update(self, endpoint: NexusEndpoint) -> None:
        async def replace(connection: asyncpg.Connection) -> None:
            try:
                replaced = await connection.fetchval(UPDATE, *_row(endpoint))
            except asyncpg.UniqueViolationError:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} exists") from None
            if not replaced:
                raise NexusEndpointConflict(f"Nexus endpoint {endpoint.name} was changed by somebody else")

        await self._directory.writes.run(replace)

    async def delete(self, endpoint_id: str) -> bool:
        return bool(await self._directory.writes.run(lambda connection: connection.fetchval(DELETE, endpoint_id)))

    async def by_id(self, endpoint_id: str) -> NexusEndpoint | None:
        return await self._first(BY_ID, endpoint_id)

    async def by_name(self, account_id: str, name: str) -> NexusEndpoint | None:
        return await self._first(BY_NAME, account_id, name)

    async def list(self, account_id: str, after: str, limit: int) -> Sequence[NexusEndpoint]:
        found: list[NexusEndpoint] = []
        while rows := await self._fetch(LIST, account_id, after, limit - len(found)):
            found += _undamaged(rows)
            after = rows[-1]["endpoint_id"]
        return found

    async def _first(self, statement: str, *parameters: str) -> NexusEndpoint | None:
        if any("\0" in parameter for parameter in parameters):  # Which no text of Postgres has.
            return None
        rows = await self._fetch(statement, *parameters)
        return _endpoint(*rows[0]) if rows else None

    async def _fetch(self, statement: str, *parameters: Any) -> Sequence[asyncpg.Record]:
        return await self._directory.reads.run(lambda connection: connection.fetch(statement, *parameters))


def _row(endpoint: NexusEndpoint) -> tuple[str, str, str, int, int, bytes]:
    record = msgspec.msgpack.encode(endpoint)
    return (
        endpoint.id,
        endpoint.account_id,
        endpoint.name,
        endpoint.version,
        crc32(record),
        record,
    )


def _endpoint(_: str, name: str, checksum: int, record: bytes) -> NexusEndpoint:
    if crc32(record) != checksum:
        raise DamagedNexusEndpoint(name)
    return msgspec.msgpack.decode(record, type=NexusEndpoint)


def _undamaged(rows: Iterable[Sequence[Any]]) -> Iterator[NexusEndpoint]:
    for row in rows:
        try:
            yield _endpoint(*row)
        except DamagedNexusEndpoint as error:
            _log.error("a Nexus endpoint is passed over", error=str(error))
