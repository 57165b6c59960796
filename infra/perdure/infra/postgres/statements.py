"""PURE: the one statement that a commit consists of, for whatever tables it touches.

It goes over the network once, and is a transaction by itself: a part locks and compares the epochs of the shards, and
every other part writes the rows of one table if, and only if, all epochs were right. Rows travel as one array per
column. The parts do not see each other's work, so no two of them may touch the same row.
"""

from __future__ import annotations

from functools import cache
from itertools import count
from typing import NamedTuple

_INT, _LONG, _SMALL, _TEXT, _BYTES, _BOOL = "integer", "bigint", "smallint", "text", "bytea", "boolean"

Columns = tuple[tuple[str, str], ...]

RUN: Columns = (
    ("shard", _INT),
    ("namespace_id", _TEXT),
    ("run_id", _TEXT),
    ("workflow_id", _TEXT),
    ("kind", _SMALL),
)


class Part(NamedTuple):
    """Writes the rows of one table.

    `statement` has places for the rows as a table called `given` with these columns, and for the condition under which
    anything may be written.
    """

    name: str
    columns: Columns
    statement: str


def _upsert(table: str, key: Columns, values: Columns) -> Part:
    columns = key + values
    names = ", ".join(name for name, _ in columns)
    replaced = ", ".join(f"{name} = excluded.{name}" for name, _ in values)
    return Part(
        table,
        columns,
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {{given}} WHERE {{fenced}}"
        f" ON CONFLICT ({', '.join(name for name, _ in key)}) DO UPDATE SET {replaced}",
    )


_JOURNAL: Columns = (
    *RUN,
    ("first_event_id", _LONG),
    ("sequence", _LONG),
    ("event_count", _INT),
    ("events_checksum", _LONG),
    ("changes_checksum", _LONG),
    ("changes", _BYTES),
    ("events", _BYTES),
)
_JOURNAL_NAMES = ", ".join(name for name, _ in _JOURNAL)

JOURNAL = Part(
    "journal",
    _JOURNAL,
    f"INSERT INTO journal ({_JOURNAL_NAMES}) SELECT {_JOURNAL_NAMES} FROM {{given}} WHERE {{fenced}}",
)

HEADS = _upsert(
    "heads",
    RUN,
    (
        ("sequence", _LONG),
        ("next_event_id", _LONG),
        ("status", _SMALL),
        ("wake_at_ns", _LONG),
        ("needs_dispatch", _BOOL),
        ("kept_bytes", _LONG),
    ),
)

CURRENT = _upsert(
    "current_runs",
    (("shard", _INT), ("namespace_id", _TEXT), ("workflow_id", _TEXT), ("kind", _SMALL)),
    (("run_id", _TEXT),),
)

SNAPSHOTS = _upsert("snapshots", RUN, (("sequence", _LONG), ("checksum", _LONG), ("state", _BYTES)))


def _added(table: str, key: Columns, sums: Columns) -> Part:
    """Rows that add up with those that are there."""
    columns = key + sums
    names = ", ".join(name for name, _ in columns)
    added = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name, _ in sums)
    return Part(
        table,
        columns,
        f"INSERT INTO {table} ({names}) SELECT {names} FROM {{given}} WHERE {{fenced}}"
        f" ON CONFLICT ({', '.join(name for name, _ in key)}) DO UPDATE SET {added}",
    )


USAGE = _added(
    "usage",
    (
        ("shard", _INT),
        ("namespace_id", _TEXT),
        ("hour", _INT),
        ("action", _TEXT),
        ("type", _TEXT),
        ("background", _BOOL),
    ),
    (("count", _LONG),),
)

STORAGE = _added(
    "storage",
    (("shard", _INT), ("namespace_id", _TEXT), ("hour", _INT)),
    (("active", _LONG), ("active_byte_ms", _LONG), ("retained", _LONG), ("retained_byte_ms", _LONG)),
)

VISIBILITY = _upsert(
    "visibility",
    RUN,
    (
        ("workflow_type", _TEXT),
        ("task_queue", _TEXT),
        ("status", _SMALL),
        ("start_time_ns", _LONG),
        ("execution_time_ns", _LONG),
        ("close_time_ns", _LONG),
        ("listed_at_ns", _LONG),
        ("history_length", _LONG),
        ("history_size_bytes", _LONG),
        ("state_transition_count", _LONG),
        ("parent_workflow_id", _TEXT),
        ("parent_run_id", _TEXT),
        ("root_workflow_id", _TEXT),
        ("root_run_id", _TEXT),
        ("namespace_division", _TEXT),
        ("checksum", _LONG),
        ("memo", _BYTES),
        ("indexed_fields", _BYTES),
    ),
)


def _same_run(table: str) -> str:
    """That a row of the table is of the given run."""
    return " AND ".join(f"{table}.{name} = given.{name}" for name, _ in RUN)


#: Search attributes that a run no longer has. `kept` is an object of JSON: how many values each name has now, if any.
FORGOTTEN_ATTRIBUTES = Part(
    "forgotten_attributes",
    (*RUN, ("kept", _TEXT)),
    f"DELETE FROM search_attributes USING {{given}} WHERE {{fenced}} AND {_same_run('search_attributes')}"
    " AND position >= coalesce((kept::jsonb ->> name)::integer, 0)",
)

ATTRIBUTES = _upsert(
    "search_attributes",
    (*RUN, ("name", _TEXT), ("position", _INT)),
    (("text_value", _TEXT), ("integer_value", _LONG), ("double_value", "double precision")),
)


def _delete(table: str) -> Part:
    return Part(f"deleted_{table}", RUN, f"DELETE FROM {table} USING {{given}} WHERE {{fenced}} AND {_same_run(table)}")


#: All with the same rows.
DELETIONS = tuple(
    _delete(table)
    for table in ("journal", "heads", "snapshots", "current_runs", "quarantine", "visibility", "search_attributes")
)

_FENCE = """
    WITH fence AS MATERIALIZED (
        SELECT shard FROM shards JOIN unnest($1::integer[], $2::bigint[]) AS expected (shard, epoch)
            USING (shard, epoch)
        ORDER BY shard FOR SHARE OF shards
    ), fenced AS MATERIALIZED (
        SELECT count(*) = cardinality($1::integer[]) AS holds FROM fence
    )"""

_LOST = """
    SELECT shard FROM unnest($1::integer[]) AS expected (shard)
    WHERE NOT (SELECT holds FROM fenced) AND shard NOT IN (SELECT shard FROM fence)"""


@cache
def compose(parts: tuple[Part, ...]) -> str:
    """The statement; its parameters are shards, epochs, and the columns of each part. It returns the lost shards.

    Parts that follow each other with the same columns share parameters: those are deletions.
    """
    number = count(3)
    given = ""
    previous: Columns = ()
    written = []
    for part in parts:
        if part.columns != previous:
            arrays = ", ".join(f"${next(number)}::{kind}[]" for _, kind in part.columns)
            given = f"unnest({arrays}) AS given ({', '.join(name for name, _ in part.columns)})"
            previous = part.columns
        statement = part.statement.format(given=given, fenced="(SELECT holds FROM fenced)")
        written.append(f", {part.name}_written AS ({statement})")
    return _FENCE + "".join(written) + _LOST
