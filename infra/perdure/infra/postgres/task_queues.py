"""`TaskQueueStore` on Postgres, in the directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import asyncpg
import structlog

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.persistence.task_queues import (
    ConfigurationConflict,
    ConfigurationRecord,
    ConfiguredQueue,
    DamagedConfiguration,
)

_log = structlog.get_logger("perdure.postgres")

#: The lock on the revision is held until the commit: who reads a revision has seen every write up to it.
_NEXT_REVISION = "WITH next AS (UPDATE task_queue_revision SET revision = revision + 1 RETURNING revision) "

INSERT = (
    _NEXT_REVISION
    + """
    INSERT INTO task_queues (namespace_id, name, kind, version, revision, checksum, config)
    SELECT $1, $2, $3, $4, revision, $5, $6 FROM next
    ON CONFLICT DO NOTHING RETURNING true"""
)

UPDATE = (
    _NEXT_REVISION
    + """
    UPDATE task_queues SET revision = next.revision, version = $4, checksum = $5, config = $6
    FROM next WHERE namespace_id = $1 AND name = $2 AND kind = $3 AND version = $4 - 1
    RETURNING true"""
)

_RECORD = "SELECT namespace_id, name, kind, version, checksum, config FROM task_queues "
READ = _RECORD + "WHERE namespace_id = $1 AND name = $2 AND kind = $3"

#: The revision and every write since, as of one moment; nulls where nothing was written.
CHANGED = """
    SELECT now.revision, changed.namespace_id, changed.name, changed.kind, changed.version, changed.checksum,
           changed.config
    FROM task_queue_revision AS now LEFT JOIN task_queues AS changed ON changed.revision > $1
    ORDER BY changed.revision"""


class PostgresTaskQueueStore:
    """See `perdure.kernel.persistence.task_queues.TaskQueueStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def read(self, queue: ConfiguredQueue) -> ConfigurationRecord | None:
        rows = await self._fetch(READ, queue.namespace_id, queue.name.encode(), queue.kind)
        return _record(*rows[0]) if rows else None

    async def write(self, record: ConfigurationRecord) -> None:
        queue, version, config = record
        row = queue.namespace_id, queue.name.encode(), queue.kind, version, crc32(config), config

        async def write(connection: asyncpg.Connection) -> None:
            if not await connection.fetchval(INSERT if version == 1 else UPDATE, *row):
                raise ConfigurationConflict(f"task queue {queue.name} was configured by somebody else")

        await self._directory.writes.run(write)

    async def changed_since(self, revision: int) -> tuple[int, Sequence[ConfigurationRecord]]:
        rows = await self._fetch(CHANGED, revision)
        return rows[0]["revision"], list(_undamaged(found for _, *found in rows if found[0] is not None))

    async def _fetch(self, statement: str, *parameters: Any) -> Sequence[asyncpg.Record]:
        return await self._directory.reads.run(lambda connection: connection.fetch(statement, *parameters))


def _record(
    namespace_id: Any, name: bytes, kind: int, version: int, checksum: int, config: bytes
) -> ConfigurationRecord:
    if crc32(config) != checksum:
        raise DamagedConfiguration(name.decode())
    return ConfigurationRecord(ConfiguredQueue(namespace_id, name.decode(), kind), version, config)


def _undamaged(rows: Iterable[Sequence[Any]]) -> Iterator[ConfigurationRecord]:
    for row in rows:
        try:
            yield _record(*row)
        except DamagedConfiguration as error:
            _log.error("a configuration is passed over", error=str(error))
