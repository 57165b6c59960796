"""`ExecutionStore` on SQLite. A batch becomes one transaction with one multi-row statement per table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from zlib import crc32

import apsw

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.infra.sqlite.visibility_rows import write_visibility
from perdure.kernel.ids import ExecutionKey, ExecutionKind, RunId, ShardId, WorkflowKey
from perdure.kernel.persistence.executions import (
    DamagedRecord,
    Head,
    JournalRecord,
    ShardLost,
    ShardWrite,
    Snapshot,
    StoredExecution,
)
from perdure.kernel.persistence.usage import Action, BytesChanged, by_hour
from perdure.kernel.persistence.visibility import VisibilityRecord

_OF_RUN = "WHERE namespace_id = ? AND workflow_id = ? AND run_id = ? AND kind = ?"

EPOCH = "SELECT epoch FROM shards WHERE shard = ?"

INSERT_JOURNAL = """
    INSERT INTO journal (namespace_id, workflow_id, run_id, kind, first_event_id, sequence, event_count,
                         events_checksum, changes_checksum, changes, events)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

UPSERT_HEAD = """
    INSERT INTO heads (namespace_id, workflow_id, run_id, kind, shard, sequence, next_event_id, status,
                       wake_at_ns, needs_dispatch, kept_bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (namespace_id, run_id, workflow_id, kind) DO UPDATE SET
        sequence = excluded.sequence, next_event_id = excluded.next_event_id, status = excluded.status,
        wake_at_ns = excluded.wake_at_ns, needs_dispatch = excluded.needs_dispatch, kept_bytes = excluded.kept_bytes"""

REPLACE_SNAPSHOT = """
    REPLACE INTO snapshots (namespace_id, workflow_id, run_id, kind, sequence, checksum, state)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""

REPLACE_CURRENT = "REPLACE INTO current_runs (namespace_id, workflow_id, kind, run_id) VALUES (?, ?, ?, ?)"

ADD_USAGE = """
    INSERT INTO usage (namespace_id, hour, action, type, background, count) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (namespace_id, hour, action, type, background) DO UPDATE SET count = count + excluded.count"""

ADD_STORAGE = """
    INSERT INTO storage (namespace_id, hour, active, active_byte_ms, retained, retained_byte_ms)
    VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (namespace_id, hour) DO UPDATE SET
        active = active + excluded.active, active_byte_ms = active_byte_ms + excluded.active_byte_ms,
        retained = retained + excluded.retained, retained_byte_ms = retained_byte_ms + excluded.retained_byte_ms"""

DELETE_RUN = tuple(
    f"DELETE FROM {table} {_OF_RUN}"
    for table in ("journal", "heads", "snapshots", "current_runs", "quarantine", "visibility", "search_attributes")
)

CURRENT_RUN = "SELECT run_id FROM current_runs WHERE namespace_id = ? AND workflow_id = ? AND kind = ?"

_HEAD = """
    SELECT namespace_id, workflow_id, run_id, kind, sequence, next_event_id, status, wake_at_ns, needs_dispatch,
           kept_bytes
    FROM heads """

HEAD = _HEAD + _OF_RUN

SNAPSHOT = f"SELECT sequence, checksum, state FROM snapshots {_OF_RUN}"

NEWEST_JOURNAL = f"""
    SELECT sequence, first_event_id, event_count, events_checksum, events, changes_checksum, changes
    FROM journal {_OF_RUN} ORDER BY first_event_id DESC, sequence DESC"""

#: Where the record that holds the given event begins.
EVENT_RECORD = f"""
    SELECT first_event_id FROM journal {_OF_RUN} AND first_event_id <= ? AND event_count > 0
    ORDER BY first_event_id DESC, sequence DESC LIMIT 1"""

EVENTS = f"""
    SELECT sequence, first_event_id, event_count, events_checksum, events
    FROM journal {_OF_RUN} AND first_event_id >= ? AND first_event_id < ? AND event_count > 0
    ORDER BY first_event_id, sequence"""

EVENTS_REVERSE = f"""
    SELECT sequence, first_event_id, event_count, events_checksum, events
    FROM journal {_OF_RUN} AND first_event_id < ? AND event_count > 0
    ORDER BY first_event_id DESC, sequence DESC"""

DUE = (
    _HEAD
    + """
    WHERE shard = ? AND wake_at_ns IS NOT NULL AND quarantined = 0 AND wake_at_ns <= ?
      AND (wake_at_ns, namespace_id, run_id, workflow_id, kind) > (?, ?, ?, ?, ?)
    ORDER BY wake_at_ns, namespace_id, run_id, workflow_id, kind LIMIT ?"""
)

UNDISPATCHED = (
    _HEAD
    + """
    WHERE shard = ? AND needs_dispatch = 1 AND quarantined = 0
      AND (namespace_id, run_id, workflow_id, kind) > (?, ?, ?, ?)
    ORDER BY namespace_id, run_id, workflow_id, kind LIMIT ?"""
)

RUNS = (
    _HEAD
    + """
    WHERE shard = ? AND namespace_id = ? AND (namespace_id, run_id, workflow_id, kind) > (?, ?, ?, ?)
    ORDER BY namespace_id, run_id, workflow_id, kind LIMIT ?"""
)

MARK_QUARANTINED = f"UPDATE heads SET quarantined = 1 {_OF_RUN}"

REPLACE_QUARANTINE = """
    REPLACE INTO quarantine (namespace_id, workflow_id, run_id, kind, shard, reason, noticed_at_ns)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""

#: Sorts before every position: no id is empty.
_FIRST_POSITION = ("", "", "", 0)
#: Sorts before every instant.
_FIRST_INSTANT = -(2**63)


class SqliteExecutionStore:
    """See `perdure.kernel.persistence.executions.ExecutionStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    def database_of(self, shard: ShardId) -> str:
        return "sqlite"

    async def write(self, writes: Sequence[ShardWrite], epochs: Mapping[ShardId, int]) -> None:
        def write_batch(cursor: apsw.Cursor) -> None:
            lost = [shard for shard, epoch in epochs.items() if cursor.execute(EPOCH, (shard,)).get != epoch]
            if lost:
                raise ShardLost(lost)
            pending = _Rows()
            for write in writes:
                if write.shard not in epochs:
                    raise ValueError(f"no epoch given for shard {write.shard}")
                pending.add(write)
                if write.deleted:
                    # What was written before a deletion must go with it, what comes after must not.
                    pending.flush(cursor)
                    pending = _Rows()
                    for statement in DELETE_RUN:
                        cursor.executemany(statement, write.deleted)
            pending.flush(cursor)

        await self._database.transaction(write_batch)

    async def current_run(self, shard: ShardId, key: WorkflowKey) -> RunId | None:
        with self._database.reading() as cursor:
            run_id: RunId | None = cursor.execute(CURRENT_RUN, key).get
            return run_id

    async def load(self, shard: ShardId, key: ExecutionKey) -> StoredExecution | None:
        with self._database.reading_consistently() as cursor, _damage_belongs_to(key):
            row = cursor.execute(HEAD, key).fetchone()
            if row is None:
                return None
            head = _head(row)
            snapshot = None
            for sequence, checksum, state in cursor.execute(SNAPSHOT, key):
                if crc32(state) != checksum:
                    raise DamagedRecord(key, "snapshot")
                snapshot = Snapshot(key, sequence, state)
            folded = snapshot.sequence if snapshot else 0
            tail = []
            for sequence, first_event_id, count, events_checksum, events, changes_checksum, changes in cursor.execute(
                NEWEST_JOURNAL, key
            ):
                if sequence <= folded:
                    break
                if crc32(events) != events_checksum or crc32(changes) != changes_checksum:
                    raise DamagedRecord(key, f"journal record {sequence}")
                tail.append(JournalRecord(key, sequence, first_event_id, count, events, changes))
            tail.reverse()
            if [record.sequence for record in tail] != list(range(folded + 1, head.sequence + 1)):
                raise DamagedRecord(key, "journal: it has a gap")
            return StoredExecution(head, snapshot, tail)

    async def read_history(
        self, shard: ShardId, key: ExecutionKey, from_event_id: int, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        with self._database.reading_consistently() as cursor, _damage_belongs_to(key):
            start = cursor.execute(EVENT_RECORD, (*key, from_event_id)).get or from_event_id
            rows = cursor.execute(EVENTS, (*key, start, to_event_id))
            return _take_events(key, rows, from_event_id, limit_bytes)

    async def read_history_reverse(
        self, shard: ShardId, key: ExecutionKey, to_event_id: int, limit_bytes: int
    ) -> Sequence[JournalRecord]:
        with self._database.reading_consistently() as cursor, _damage_belongs_to(key):
            return _take_events(key, cursor.execute(EVENTS_REVERSE, (*key, to_event_id)), 0, limit_bytes)

    async def due(
        self, shard: ShardId, until_ns: int, after: tuple[int, ExecutionKey] | None, limit: int
    ) -> Sequence[Head]:
        instant, key = after or (_FIRST_INSTANT, None)
        with self._database.reading() as cursor:
            return [_head(row) for row in cursor.execute(DUE, (shard, until_ns, instant, *_position(key), limit))]

    async def undispatched(self, shard: ShardId, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        with self._database.reading() as cursor:
            return [_head(row) for row in cursor.execute(UNDISPATCHED, (shard, *_position(after), limit))]

    async def runs(self, shard: ShardId, namespace_id: str, after: ExecutionKey | None, limit: int) -> Sequence[Head]:
        with self._database.reading() as cursor:
            return [_head(row) for row in cursor.execute(RUNS, (shard, namespace_id, *_position(after), limit))]

    async def quarantine(self, shard: ShardId, key: ExecutionKey, reason: str, now_ns: int) -> None:
        def set_aside(cursor: apsw.Cursor) -> None:
            cursor.execute(MARK_QUARANTINED, key)
            cursor.execute(REPLACE_QUARANTINE, (*key, shard, reason, now_ns))

        await self._database.transaction(set_aside)


class _Rows:
    """The rows of a batch. Of rows that replace each other only the last is kept."""

    def __init__(self) -> None:
        self._journal: list[tuple[Any, ...]] = []
        self._heads: dict[ExecutionKey, tuple[Any, ...]] = {}
        self._current: dict[WorkflowKey, tuple[Any, ...]] = {}
        self._snapshots: dict[ExecutionKey, tuple[Any, ...]] = {}
        self._visibility: dict[tuple[str, str, str], VisibilityRecord] = {}
        self._actions: dict[Action, int] = {}
        self._bytes_changed: list[BytesChanged] = []

    def add(self, write: ShardWrite) -> None:
        for key, sequence, first_event_id, count, events, changes in write.journal:
            self._journal.append(
                (*key, first_event_id, sequence, count, crc32(events), crc32(changes), changes, events)
            )
        for key, sequence, next_event_id, status, wake_at_ns, needs_dispatch, kept in write.heads:
            self._heads[key] = (*key, write.shard, sequence, next_event_id, status, wake_at_ns, needs_dispatch, kept)
        for workflow, run_id in write.current:
            self._current[workflow] = (*workflow, run_id)
        for key, sequence, state in write.snapshots:
            self._snapshots[key] = (*key, sequence, crc32(state), state)
        for record in write.visibility:
            self._visibility[record.namespace_id, record.workflow_id, record.run_id] = record
        for action, count in write.actions.items():
            self._actions[action] = self._actions.get(action, 0) + count
        self._bytes_changed += write.bytes_changed

    def flush(self, cursor: apsw.Cursor) -> None:
        if self._journal:
            cursor.executemany(INSERT_JOURNAL, self._journal)
        if self._heads:
            cursor.executemany(UPSERT_HEAD, self._heads.values())
        if self._current:
            cursor.executemany(REPLACE_CURRENT, self._current.values())
        if self._snapshots:
            cursor.executemany(REPLACE_SNAPSHOT, self._snapshots.values())
        if self._visibility:
            write_visibility(cursor, self._visibility.values())
        if self._actions:
            cursor.executemany(ADD_USAGE, [(*action, count) for action, count in self._actions.items()])
        if self._bytes_changed:
            cursor.executemany(ADD_STORAGE, [(*at, *hour) for at, hour in by_hour(self._bytes_changed).items()])


def _head(row: tuple[Any, ...]) -> Head:
    namespace_id, workflow_id, run_id, kind, sequence, next_event_id, status, wake_at_ns, needs_dispatch, kept = row
    key = ExecutionKey(namespace_id, workflow_id, run_id, ExecutionKind(kind))
    return Head(key, sequence, next_event_id, status, wake_at_ns, bool(needs_dispatch), kept)


def _position(key: ExecutionKey | None) -> tuple[str, str, str, int]:
    """The key as the tables are ordered by it; of None, what comes before all."""
    return (key.namespace_id, key.run_id, key.workflow_id, key.kind) if key else _FIRST_POSITION


def _take_events(
    key: ExecutionKey, rows: Iterable[tuple[Any, ...]], from_event_id: int, limit_bytes: int
) -> list[JournalRecord]:
    records: list[JournalRecord] = []
    size = 0
    for sequence, first_event_id, count, checksum, events in rows:
        if first_event_id + count <= from_event_id:
            continue
        size += len(events)
        if records and size > limit_bytes:
            break
        if crc32(events) != checksum:
            raise DamagedRecord(key, f"journal record {sequence}")
        records.append(JournalRecord(key, sequence, first_event_id, count, events, b""))
    return records


@contextmanager
def _damage_belongs_to(key: ExecutionKey) -> Iterator[None]:
    """What cannot even be read as a row while looking at one run is damage of that run."""
    try:
        yield
    except (apsw.CorruptError, UnicodeDecodeError, TypeError) as error:
        raise DamagedRecord(key, f"row: {error}") from error
