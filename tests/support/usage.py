"""Usage as the journals tell it, against usage as it was counted: whatever crashed, the two are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from perdure.history.metering import billable
from perdure.history.state.codec import decode_changes, decode_events
from perdure.infra.sqlite import SqliteDatabase
from perdure.kernel.ids import ExecutionKind
from perdure.kernel.metering.actions import DELETE_SCHEDULE, QUERY
from tests.support.postgres import connected

#: They leave no trace in a journal.
UNTRACED = {QUERY, DELETE_SCHEDULE}

_RUN = "namespace_id, run_id, workflow_id, kind"
_JOURNAL = f"SELECT {_RUN}, changes, events FROM journal"
_HEADS = f"SELECT {_RUN}, status, kept_bytes FROM heads"
_USAGE = "SELECT namespace_id, action, count FROM usage"
_STORAGE = "SELECT namespace_id, active, retained FROM storage"

Rows = Iterable[Sequence[Any]]
_OPEN = 1


def check(journal: Rows, heads: Rows, usage: Rows, storage: Rows) -> Mapping[str, int]:
    """What the tables of one moment say, none of whose executions was deleted. Returns the actions, for those who look.

    `journal` is the journals of all runs, `heads` theirs, and the others are what was counted for them.
    """
    derived: Counter[tuple[str, str]] = Counter()
    kept: Counter[tuple[Any, ...]] = Counter()
    for namespace_id, run_id, workflow_id, number, changes, events in journal:
        kind = ExecutionKind(number)
        for action, count in billable(kind, decode_events(events), decode_changes(changes)).items():
            derived[namespace_id, action] += count
        kept[namespace_id, run_id, workflow_id, number] += len(events if kind is ExecutionKind.WORKFLOW else changes)
    counted: Counter[tuple[str, str]] = Counter()
    for namespace_id, action, count in usage:
        if action not in UNTRACED:
            counted[namespace_id, action] += count
    assert counted == derived, f"counted {counted - derived} too much and {derived - counted} too little"

    bytes_kept: Counter[tuple[str, bool]] = Counter()
    for namespace_id, run_id, workflow_id, number, status, kept_bytes in heads:
        assert kept_bytes == kept[namespace_id, run_id, workflow_id, number], f"the bytes of {workflow_id}"
        bytes_kept[namespace_id, status == _OPEN] += kept_bytes
    announced: Counter[tuple[str, bool]] = Counter()
    for namespace_id, active, retained in storage:
        announced[namespace_id, True] += active
        announced[namespace_id, False] += retained
    assert +announced == +bytes_kept, f"announced {announced}, there are {bytes_kept}"
    return {action: count for (_, action), count in counted.items()}


def check_sqlite(database: SqliteDatabase) -> Mapping[str, int]:
    with database.reading_consistently() as cursor:
        return _check_with(lambda statement: cursor.execute(statement).fetchall())


def check_file(path: Path) -> Mapping[str, int]:
    """Of a server that may be running."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.execute("BEGIN")
        return _check_with(lambda statement: connection.execute(statement).fetchall())
    finally:
        connection.close()


async def check_postgres(dsns: Iterable[str]) -> None:
    """Of a cluster that may be running, and no shard of which was ever moved: what was counted is where it was done."""
    for dsn in dsns:
        async with connected(dsn) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            check(*[await connection.fetch(each) for each in (_JOURNAL, _HEADS, _USAGE, _STORAGE)])


def _check_with(fetch: Callable[[str], Rows]) -> Mapping[str, int]:
    return check(*map(fetch, (_JOURNAL, _HEADS, _USAGE, _STORAGE)))
