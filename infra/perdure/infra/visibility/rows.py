"""Visibility records as rows: the columns that every driver has, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from zlib import crc32

from perdure.kernel.ids import ExecutionKey, ExecutionKind
from perdure.kernel.persistence.visibility import VisibilityRecord
from perdure.kernel.visibility.attributes import NAMESPACE_DIVISION, AttributeValue, Text
from perdure.kernel.visibility.text import words

#: Listing time of an open run: open ones come first in the default order.
OPEN = 2**63 - 1

#: What is written besides the key, in the order of `visibility_values`.
VALUES = (
    *("workflow_type", "task_queue", "status", "start_time_ns", "execution_time_ns", "close_time_ns", "listed_at_ns"),
    *("history_length", "history_size_bytes", "state_transition_count", "parent_workflow_id", "parent_run_id"),
    *("root_workflow_id", "root_run_id", "namespace_division", "checksum", "memo", "indexed_fields"),
)

#: What is read, in the order of `read_record`.
COLUMNS = (
    "namespace_id, workflow_id, run_id, kind, workflow_type, task_queue, status, start_time_ns, "
    "execution_time_ns, close_time_ns, history_length, history_size_bytes, state_transition_count, "
    "parent_workflow_id, parent_run_id, root_workflow_id, root_run_id, memo, indexed_fields, checksum"
)

_log = logging.getLogger(__name__)


def visibility_values(record: VisibilityRecord) -> tuple[Any, ...]:
    """The row of a record, without its key."""
    return (
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


def attribute_values(record: VisibilityRecord) -> Iterator[tuple[str, int, Any]]:
    """Name, position and value of everything that the run can be found by and that has no column of its own."""
    for name, value in record.search_attributes.items():
        if name == NAMESPACE_DIVISION:  # Has its own column: nearly every query looks at it.
            continue
        for position, part in enumerate(_parts(value)):
            yield name, position, part


def read_record(row: Sequence[Any]) -> VisibilityRecord:
    """The record of a row of `COLUMNS`. A damaged memo hides itself, not the run and not the rest of the list."""
    namespace_id, workflow_id, run_id, kind, *values, checksum = row
    record = VisibilityRecord(namespace_id, workflow_id, run_id, ExecutionKind(kind), *values)
    if crc32(record.indexed_fields, crc32(record.memo)) == checksum:
        return record
    _log.error("damaged visibility record of %s", ExecutionKey(namespace_id, workflow_id, run_id, ExecutionKind(kind)))
    return replace(record, memo=b"", indexed_fields=b"")


def _parts(value: AttributeValue) -> list[Any]:
    if isinstance(value, list):
        return value
    if isinstance(value, Text):
        return sorted(set(words(value))) or [""]
    return [value]
