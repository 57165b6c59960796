"""`TaskQueueStore` on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from zlib import crc32

import apsw
import structlog

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.kernel.persistence.task_queues import (
    ConfigurationConflict,
    ConfigurationRecord,
    ConfiguredQueue,
    DamagedConfiguration,
)

_log = structlog.get_logger("perdure.sqlite")

WRITE = """
    INSERT INTO task_queues (namespace_id, name, kind, version, revision, checksum, config)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
    ON CONFLICT (namespace_id, name, kind) DO UPDATE
    SET version = excluded.version, revision = excluded.revision, checksum = excluded.checksum, config = excluded.config
    WHERE task_queues.version = excluded.version - 1"""

NEXT_REVISION = "UPDATE task_queue_revision SET revision = revision + 1 RETURNING revision"
REVISION = "SELECT revision FROM task_queue_revision"

_RECORD = "SELECT namespace_id, name, kind, version, checksum, config FROM task_queues "
READ = _RECORD + "WHERE namespace_id = ? AND name = ? AND kind = ?"
CHANGED = _RECORD + "WHERE revision > ? ORDER BY revision"


class SqliteTaskQueueStore:
    """See `perdure.kernel.persistence.task_queues.TaskQueueStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def read(self, queue: ConfiguredQueue) -> ConfigurationRecord | None:
        with self._database.reading() as cursor:
            row = cursor.execute(READ, queue).get
        return None if row is None else _record(*row)

    async def write(self, record: ConfigurationRecord) -> None:
        queue, version, config = record

        def write(cursor: apsw.Cursor) -> None:
            if version > 1 and cursor.execute(READ, queue).get is None:
                raise ConfigurationConflict(f"task queue {queue.name} is not configured")
            revision = cursor.execute(NEXT_REVISION).get
            cursor.execute(WRITE, (*queue, version, revision, crc32(config), config))
            if cursor.connection.changes() != 1:
                raise ConfigurationConflict(f"task queue {queue.name} was configured by somebody else")

        await self._database.transaction(write)

    async def changed_since(self, revision: int) -> tuple[int, Sequence[ConfigurationRecord]]:
        with self._database.reading_consistently() as cursor:
            changed = list(_undamaged(cursor.execute(CHANGED, (revision,))))
            return int(cursor.execute(REVISION).get), changed


def _record(namespace_id: Any, name: str, kind: int, version: int, checksum: int, config: bytes) -> ConfigurationRecord:
    if crc32(config) != checksum:
        raise DamagedConfiguration(name)
    return ConfigurationRecord(ConfiguredQueue(namespace_id, name, kind), version, config)


def _undamaged(rows: Iterable[Sequence[Any]]) -> Iterator[ConfigurationRecord]:
    for row in rows:
        try:
            yield _record(*row)
        except DamagedConfiguration as error:
            _log.error("a configuration is passed over", error=str(error))
