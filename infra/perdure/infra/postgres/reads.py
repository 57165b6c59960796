"""PURE: the statements that read executions, and rows as records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

from perdure.kernel.ids import ExecutionKey, ExecutionKind
from perdure.kernel.persistence.executions import DamagedRecord, Head, JournalRecord, Snapshot, StoredExecution

_KEYS = """
    unnest($1::integer[], $2::text[], $3::text[], $4::text[], $5::smallint[])
    WITH ORDINALITY AS wanted (shard, namespace_id, workflow_id, run_id, kind, number)"""

#: Of many workflow ids; those without a run are left out.
CURRENT_RUNS = """
    SELECT wanted.number, found.run_id
    FROM unnest($1::integer[], $2::text[], $3::text[], $4::smallint[])
        WITH ORDINALITY AS wanted (shard, namespace_id, workflow_id, kind, number)
    JOIN current_runs AS found USING (shard, namespace_id, workflow_id, kind)"""

#: Of many runs, in one moment: head, snapshot, and what the journal has after it, an array per column.
EXECUTIONS = f"""
    SELECT wanted.number, heads.sequence, heads.next_event_id, heads.status, heads.wake_at_ns, heads.needs_dispatch,
           heads.kept_bytes, snapshots.sequence, snapshots.checksum, snapshots.state,
           tail.sequences, tail.first_event_ids, tail.counts, tail.events_checksums, tail.events,
           tail.changes_checksums, tail.changes
    FROM {_KEYS}
    JOIN heads USING (shard, namespace_id, run_id, workflow_id, kind)
    LEFT JOIN snapshots USING (shard, namespace_id, run_id, workflow_id, kind)
    CROSS JOIN LATERAL (
        SELECT array_agg(sequence) AS sequences, array_agg(first_event_id) AS first_event_ids,
               array_agg(event_count) AS counts,
               array_agg(events_checksum) AS events_checksums, array_agg(events) AS events,
               array_agg(changes_checksum) AS changes_checksums, array_agg(changes) AS changes
        FROM (
            SELECT * FROM journal
            WHERE (shard, namespace_id, run_id, workflow_id, kind)
                = (wanted.shard, wanted.namespace_id, wanted.run_id, wanted.workflow_id, wanted.kind)
              AND journal.sequence > coalesce(snapshots.sequence, 0)
            ORDER BY first_event_id, sequence
        ) AS ordered
    ) AS tail"""

_OF_RUN = "(shard, namespace_id, workflow_id, run_id, kind) = ($1, $2, $3, $4, $5)"

#: From the record that holds the first wanted event on.
EVENTS = f"""
    SELECT sequence, first_event_id, event_count, events_checksum, events
    FROM journal
    WHERE {_OF_RUN} AND event_count > 0 AND first_event_id < $7 AND first_event_id >= coalesce((
        SELECT first_event_id FROM journal
        WHERE {_OF_RUN} AND first_event_id <= $6 AND event_count > 0
        ORDER BY first_event_id DESC, sequence DESC LIMIT 1), $6)
    ORDER BY first_event_id, sequence LIMIT $8"""

EVENTS_REVERSE = f"""
    SELECT sequence, first_event_id, event_count, events_checksum, events
    FROM journal
    WHERE {_OF_RUN} AND event_count > 0 AND first_event_id < $6
    ORDER BY first_event_id DESC, sequence DESC LIMIT $7"""

_HEAD = """
    SELECT namespace_id, workflow_id, run_id, kind, sequence, next_event_id, status, wake_at_ns, needs_dispatch,
           kept_bytes
    FROM heads """

DUE = (
    _HEAD
    + """
    WHERE shard = $1 AND wake_at_ns IS NOT NULL AND NOT quarantined AND wake_at_ns <= $2
      AND (wake_at_ns, namespace_id, run_id, workflow_id, kind) > ($3, $4, $5, $6, $7)
    ORDER BY wake_at_ns, namespace_id, run_id, workflow_id, kind LIMIT $8"""
)

UNDISPATCHED = (
    _HEAD
    + """
    WHERE shard = $1 AND needs_dispatch AND NOT quarantined
      AND (namespace_id, run_id, workflow_id, kind) > ($2, $3, $4, $5)
    ORDER BY namespace_id, run_id, workflow_id, kind LIMIT $6"""
)

RUNS = (
    _HEAD
    + """
    WHERE shard = $1 AND namespace_id = $2 AND (namespace_id, run_id, workflow_id, kind) > ($3, $4, $5, $6)
    ORDER BY namespace_id, run_id, workflow_id, kind LIMIT $7"""
)

QUARANTINE = f"""
    WITH marked AS (UPDATE heads SET quarantined = true WHERE {_OF_RUN})
    INSERT INTO quarantine (shard, namespace_id, workflow_id, run_id, kind, reason, noticed_at_ns)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (shard, namespace_id, run_id, workflow_id, kind)
    DO UPDATE SET reason = excluded.reason, noticed_at_ns = excluded.noticed_at_ns"""

#: Sorts before every position: no id is empty.
FIRST_POSITION = ("", "", "", 0)
#: Sorts before every instant.
FIRST_INSTANT = -(2**63)


def head(row: Sequence[Any]) -> Head:
    namespace_id, workflow_id, run_id, kind, *rest = row
    return Head(ExecutionKey(namespace_id, workflow_id, run_id, ExecutionKind(kind)), *rest)


def position(key: ExecutionKey | None) -> tuple[str, str, str, int]:
    """The key as the tables are ordered by it; of None, what comes before all."""
    return (key.namespace_id, key.run_id, key.workflow_id, key.kind) if key else FIRST_POSITION


def stored_execution(key: ExecutionKey, row: Sequence[Any]) -> StoredExecution:
    """A row of `EXECUTIONS`, without its number.

    Raises:
        DamagedRecord: a checksum is wrong or a record is missing.
    """
    head = Head(key, *row[:6])
    snapshot_sequence, snapshot_checksum, state = row[6:9]
    snapshot = None
    if snapshot_sequence is not None:
        if crc32(state) != snapshot_checksum:
            raise DamagedRecord(key, "snapshot")
        snapshot = Snapshot(key, snapshot_sequence, state)
    tail = []
    columns = row[9:]
    for sequence, first_event_id, count, events_checksum, events, changes_checksum, changes in zip(
        *(column or () for column in columns), strict=True
    ):
        if crc32(events) != events_checksum or crc32(changes) != changes_checksum:
            raise DamagedRecord(key, f"journal record {sequence}")
        tail.append(JournalRecord(key, sequence, first_event_id, count, events, changes))
    folded = snapshot.sequence if snapshot else 0
    if [record.sequence for record in tail] != list(range(folded + 1, head.sequence + 1)):
        raise DamagedRecord(key, "journal: it has a gap")
    return StoredExecution(head, snapshot, tail)


def event_record(key: ExecutionKey, row: Sequence[Any]) -> JournalRecord:
    """A row of `EVENTS`.

    Raises:
        DamagedRecord: its checksum is wrong.
    """
    sequence, first_event_id, count, checksum, events = row
    if crc32(events) != checksum:
        raise DamagedRecord(key, f"journal record {sequence}")
    return JournalRecord(key, sequence, first_event_id, count, events, b"")


def columns(rows: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
    """Rows as one array per column."""
    return list(zip(*rows, strict=True))
