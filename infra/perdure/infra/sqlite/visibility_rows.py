"""Visibility records as rows: how they are written."""

from __future__ import annotations

from collections.abc import Collection

import apsw

from perdure.infra.visibility.rows import VALUES, attribute_values, visibility_values
from perdure.kernel.ids import ExecutionKey
from perdure.kernel.persistence.visibility import VisibilityRecord

_KEY = ("namespace_id", "workflow_id", "run_id", "kind")

#: Not REPLACE, which would write every index anew also where nothing changes.
UPSERT = f"""
    INSERT INTO visibility ({", ".join(_KEY + VALUES)}) VALUES ({", ".join("?" * len(_KEY + VALUES))})
    ON CONFLICT (namespace_id, run_id, workflow_id, kind)
    DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in VALUES)}"""

FORGET_ATTRIBUTES = """
    DELETE FROM search_attributes WHERE namespace_id = ? AND workflow_id = ? AND run_id = ? AND kind = ?"""

INSERT_ATTRIBUTE = """
    INSERT INTO search_attributes (namespace_id, workflow_id, run_id, kind, name, position, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""


def write_visibility(cursor: apsw.Cursor, records: Collection[VisibilityRecord]) -> None:
    cursor.executemany(UPSERT, [(*_key(record), *visibility_values(record)) for record in records])
    cursor.executemany(FORGET_ATTRIBUTES, [_key(record) for record in records])
    attributes = [
        (*_key(record), *attribute)
        for record in records
        if record.search_attributes
        for attribute in attribute_values(record)
    ]
    if attributes:
        cursor.executemany(INSERT_ATTRIBUTE, attributes)


def _key(record: VisibilityRecord) -> ExecutionKey:
    return ExecutionKey(record.namespace_id, record.workflow_id, record.run_id, record.kind)
