"""What was stored before usage was counted is kept, and counts from then on."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest

from perdure.infra.postgres import schema
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, database
from perdure.infra.sqlite.usage import SqliteUsageStore
from perdure.kernel.ids import ExecutionKey, ExecutionKind, RunId, WorkflowId
from perdure.kernel.persistence.executions import ExecutionStore
from perdure.kernel.persistence.usage import HOUR_MS, UsageStore
from tests.support.postgres import PostgresForTests, connected, opened
from tests.support.records import NAMESPACE, SHARD

#: Workflow id, kind, status, and the events and changes of a record.
RUNS = [("open", 0, 1, b"events", b"x"), ("closed", 0, 2, b"many events", b"xx"), ("schedule", 2, 1, b"", b"changes")]


def before(migrations: Callable[..., list[Any]]) -> Callable[..., list[Any]]:
    """The migrations up to the one that is tested."""

    def some(*part: str) -> list[Any]:
        return list(takewhile(lambda each: "usage" not in each.name, migrations(*part)))

    return some


async def check(executions: ExecutionStore, usage: UsageStore) -> None:
    for workflow_id, kind, _, events, changes in RUNS:
        key = ExecutionKey(NAMESPACE, WorkflowId(workflow_id), RunId("run"), ExecutionKind(kind))
        stored = await executions.load(SHARD, key)
        assert stored is not None and stored.head.kept_bytes == len(events or changes)
    # A year from whenever this runs.
    hour = 1_000_000
    (kept,) = await usage.storage(NAMESPACE, hour, hour + 1, (hour + 1) * HOUR_MS)
    assert kept[1:] == (len(b"events" + b"changes") * HOUR_MS, len(b"many events") * HOUR_MS)


async def test_on_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(database, "_migrations", before(database._migrations))
        old = SqliteDatabase.open(tmp_path / "perdure.db")
        for workflow_id, kind, status, events, changes in RUNS:
            key = (NAMESPACE, workflow_id, "run", kind)

            def write(cursor: Any, key: Any = key, rest: Any = (status, events, changes)) -> None:
                status, events, changes = rest
                cursor.execute(
                    "INSERT INTO journal VALUES (?, ?, ?, ?, 1, 1, 1, ?, ?, ?, ?)",
                    (*key, crc32(events), crc32(changes), changes, events),
                )
                cursor.execute("INSERT INTO heads VALUES (?, ?, ?, ?, ?, 1, 2, ?, NULL, 0, 0)", (*key, SHARD, status))

            await old.transaction(write)
        await old.close()
    new = SqliteDatabase.open(tmp_path / "perdure.db")
    await check(SqliteExecutionStore(new), SqliteUsageStore(new))
    await new.close()


async def test_on_postgres(postgres: PostgresForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    dsns = postgres.new(1)
    with monkeypatch.context() as patched:
        patched.setattr(schema, "_migrations", before(schema._migrations))
        await schema.migrate(dsns)
    async with connected(dsns["main"]) as connection:
        for workflow_id, kind, status, events, changes in RUNS:
            run = (SHARD, NAMESPACE, "run", workflow_id, kind)
            await connection.execute(
                "INSERT INTO journal VALUES ($1, $2, $3, $4, $5, 1, 1, 1, $6, $7, $8, $9)",
                *(*run, crc32(events), crc32(changes), changes, events),
            )
            await connection.execute(
                "INSERT INTO heads VALUES ($1, $2, $3, $4, $5, 1, 2, $6, NULL, false)", *run, status
            )
    await schema.migrate(dsns)
    async with opened(dsns) as stores:
        await check(stores.executions, stores.usage)
