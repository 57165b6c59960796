"""Visibility records as rows: how they are written, and read back."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any
from zlib import crc32

import apsw

from perdure.kernel.ids import ExecutionKey, ExecutionKind
from perdure.kernel.persistence.visibility import VisibilityRecord
from perdure.kernel.visibility.attributes import NAMESPACE_DIVISION, AttributeValue, Text
from perdure.kernel.visibility.text import words

#: Listing time of an open run: open ones come first in the default order.
OPEN = 2**63 - 1

_KEY = ("namespace_id", "workflow_id", "run_id", "kind")
_VALUES = (
    *("workflow_type", "task_queue", "status", "start_time_ns", "execution_time_ns", "close_time_ns", "listed_at_ns"),
    *("history_length", "history_size_bytes", "state_transition_count", "parent_workflow_id", "parent_run_id"),
    *("root_workflow_id", "root_run_id", "namespace_division", "checksum", "memo", "indexed_fields"),
)

#: Not REPLACE, which would write every index anew also where nothing changes.
UPSERT = f"""
    INSERT INTO visibility ({", ".join(_KEY + _VALUES)}) VALUES ({", ".join("?" * len(_KEY + _VALUES))})
    ON CONFLICT (namespace_id, run_id, workflow_id, kind)
    DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in _VALUES)}"""

#: Columns in the order of `record`.
COLUMNS = (
    "namespace_id, workflow_id, run_id, kind, workflow_type, task_queue, status, start_time_ns, "
    "execution_time_ns, close_time_ns, history_length, history_size_bytes, state_transition_count, "
    "parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, memo, indexed_fields, checksum"
)

FORGET_ATTRIBUTES = """
    DELETE FROM search_attributes WHERE namespace_id = ? AND workflow_id = ? AND run_id = ? AND kind = ?"""

INSERT_ATTRIBUTE = """
    INSERT INTO search_attributes (namespace_id, workflow_id, run_id, kind, name, position, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""

_log = logging.getLogger(__name__)


def write_visibility(cursor: apsw.Cursor, records: Collection[VisibilityRecord]) -> None:
    cursor.executemany(UPSERT, [_row(record) for record in records])
    cursor.executemany(FORGET_ATTRIBUTES, [_key(record) for record in records])
    attributes = [row for record in records if record.search_attributes for row in _attribute_rows(record)]
    if attributes:
        cursor.executemany(INSERT_ATTRIBUTE, attributes)


def read_record(row: tuple[Any, ...]) -> VisibilityRecord:
    """The record of a row of `COLUMNS`. A damaged memo hides itself, not the run and not the rest of the list."""
    namespace_id, workflow_id, run_id, kind, *values, checksum = row
    record = VisibilityRecord(namespace_id, workflow_id, run_id, ExecutionKind(kind), *values)
    if crc32(record.indexed_fields, crc32(record.memo)) == checksum:
        return record
    _log.error("damaged visibility record of %s", _key(record))
    return replace(record, memo=b"", indexed_fields=b"")


def _key(record: VisibilityRecord) -> ExecutionKey:
    return ExecutionKey(record.namespace_id, record.workflow_id, record.run_id, record.kind)


def _row(record: VisibilityRecord) -> tuple[Any, ...]:
    return (
        *_key(record),
        record.workflow_type,
        record.task_queue,
        record.status,
        record.start_time_ns,
        record.execution_time_ns,
        record.close_time_ns,
        OPEN if record.close_time_ns is None else record.close_time_ns,
        record.history_length,
        record.history_size_bytes,
        record.state_transition_count,
        record.parent_workflow_id,
        record.parent_run_id,
        record.root_workflow_id,
        record.root_run_id,
        record.search_attributes.get(NAMESPACE_DIVISION),
        crc32(record.indexed_fields, crc32(record.memo)),
        record.memo,
        record.indexed_fields,
    )


def _attribute_rows(record: VisibilityRecord) -> Iterator[tuple[Any, ...]]:
    for name, value in record.search_attributes.items():
        if name == NAMESPACE_DIVISION:  # Has its own column: nearly every query looks at it.
            continue
        for position, part in enumerate(_parts(value)):
            yield *_key(record), name, position, part


def _parts(value: AttributeValue) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, Text):
        return sorted(set(words(value))) or [""]
    return [value]
