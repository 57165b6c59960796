from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from perdure.infra.sqlite import (
    DatabaseUnusable,
    SqliteClusterStore,
    SqliteDatabase,
    SqliteExecutionStore,
    SqliteShardStore,
)
from perdure.infra.sqlite.database import APPLICATION_ID
from perdure.infra.sqlite.executions import DUE, EVENT_RECORD, EVENTS, NEWEST_JOURNAL, RUNS, UNDISPATCHED
from perdure.infra.sqlite.visibility_dialect import SqliteDialect
from perdure.infra.visibility.compiler import Compiler
from perdure.kernel.persistence.executions import StoredExecution, StoreUnavailable, StoreUnusable
from perdure.kernel.visibility.attributes import KEYWORD
from perdure.kernel.visibility.parser import parse
from tests.support.records import NAMESPACE, SHARD, head, key, record, write


async def acquire(database: SqliteDatabase) -> int:
    return (await SqliteShardStore(database).acquire([SHARD], "owner"))[SHARD]


async def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    written = record(key(), 1, 1, 2)
    database = SqliteDatabase.open(path)
    store = SqliteExecutionStore(database)
    assert await acquire(database) == 1
    await store.write([write(journal=[written], heads=[head(key())])], {SHARD: 1})
    await database.close()

    database = SqliteDatabase.open(path)
    store = SqliteExecutionStore(database)
    assert await store.load(SHARD, key()) == StoredExecution(head(key()), None, [written])
    assert await acquire(database) == 2
    await database.close()


WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from tests.support.records import SHARD, head, key, record, write

async def main():
    database = SqliteDatabase.open(Path(sys.argv[1]))
    store = SqliteExecutionStore(database)
    epochs = await SqliteShardStore(database).acquire([SHARD], '')
    for number in range(1, 1_000_000):
        await store.write([write(journal=[record(key(), number, number, 1)], heads=[head(key(), number)])], epochs)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_an_acknowledged_write_survives_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PYTHONPATH": ":".join(sys.path)}) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
        with pytest.raises(DatabaseUnusable, match="in use by another server"):
            SqliteDatabase.open(path)
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]

    database = SqliteDatabase.open(path)
    stored = await SqliteExecutionStore(database).load(SHARD, key())
    assert stored is not None
    assert stored.head.sequence in (acknowledged[-1], acknowledged[-1] + 1)
    assert [found.sequence for found in stored.tail] == list(range(1, stored.head.sequence + 1))
    await database.close()


async def test_a_file_is_opened_once(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "perdure.db")
    with pytest.raises(DatabaseUnusable, match="in use by another server"):
        SqliteDatabase.open(tmp_path / "perdure.db")
    await database.close()
    await SqliteDatabase.open(tmp_path / "perdure.db").close()


def make_database(path: Path, statements: str) -> None:
    connection = apsw.Connection(str(path))
    connection.execute(statements)
    connection.close()


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = 999", "written by a newer Perdure"),
        ("PRAGMA application_id = 0x50455244; PRAGMA user_version = 1; CREATE TABLE heads (a)", "move the file away"),
        ("CREATE TABLE theirs (a)", "is not a Perdure database"),
    ],
)
def test_foreign_and_newer_databases_are_refused(tmp_path: Path, statements: str, reason: str) -> None:
    path = tmp_path / "perdure.db"
    make_database(path, statements)
    before = path.read_bytes()
    for _ in range(2):  # The first refusal must not leave the file locked.
        with pytest.raises(DatabaseUnusable, match=reason) as caught:
            SqliteDatabase.open(path)
        assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_unusable_paths_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no database " * 100)
    for path in (text, tmp_path, tmp_path / "missing" / "perdure.db"):
        with pytest.raises(DatabaseUnusable, match=str(path)) as caught:
            SqliteDatabase.open(path)
        assert "\n" not in str(caught.value)


async def test_an_ephemeral_database_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    database = SqliteDatabase.open(None)
    assert list(tmp_path.iterdir())
    await database.close()
    assert not list(tmp_path.iterdir())


async def test_a_failing_statement_rolls_everything_back(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "perdure.db")

    def half(cursor: apsw.Cursor) -> None:
        cursor.execute("INSERT INTO cluster VALUES (1, 'this')")
        cursor.execute("INSERT INTO cluster VALUES (1, 'another')")

    with pytest.raises(StoreUnavailable):
        await database.transaction(half)
    assert await SqliteClusterStore(database).identify("yet another") == "yet another"
    await database.close()


async def test_what_waiting_cannot_heal_is_told_from_what_it_can(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    database = SqliteDatabase.open(path)
    store = SqliteExecutionStore(database)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="database is locked") as caught:
        await acquire(database)
    assert not isinstance(caught.value, StoreUnusable)
    other.execute("ROLLBACK")
    other.execute("ALTER TABLE heads RENAME COLUMN kind TO sort")
    other.close()
    with pytest.raises(StoreUnusable, match="no such column"):
        await store.undispatched(SHARD, None, 10)
    with pytest.raises(StoreUnusable, match="no such column"):
        await store.load(SHARD, key())
    await database.close()


async def test_a_failing_commit_is_reported_and_the_next_one_works(tmp_path: Path) -> None:
    database = SqliteDatabase.open(tmp_path / "perdure.db")
    await database.transaction(lambda cursor: cursor.execute("CREATE TABLE parent (id INTEGER PRIMARY KEY)"))
    await database.transaction(
        lambda cursor: cursor.execute("CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    )

    def violate(cursor: apsw.Cursor) -> None:  # A deferred foreign key fails only at the commit.
        cursor.execute("INSERT INTO cluster VALUES (1, 'this')")
        cursor.execute("INSERT INTO child VALUES (1)")

    database._writer_connection.execute("PRAGMA foreign_keys = ON")
    with pytest.raises(StoreUnavailable):
        await database.transaction(violate)
    assert await SqliteClusterStore(database).identify("another") == "another"
    assert await acquire(database) == 1
    await database.close()


async def test_close_waits_for_the_commit_under_way(tmp_path: Path) -> None:
    path = tmp_path / "perdure.db"
    database = SqliteDatabase.open(path)
    pending = asyncio.create_task(acquire(database))
    await asyncio.sleep(0)
    await database.close()
    assert await pending == 1
    database = SqliteDatabase.open(path)
    assert await acquire(database) == 2
    await database.close()


@pytest.mark.parametrize("statement", [DUE, UNDISPATCHED, RUNS, EVENT_RECORD, EVENTS, NEWEST_JOURNAL])
async def test_reads_neither_scan_nor_sort(tmp_path: Path, statement: str) -> None:
    database = SqliteDatabase.open(tmp_path / "perdure.db")
    parameters = (0,) * statement.count("?")
    with database.reading() as cursor:
        plan = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    await database.close()
    assert all(step.startswith("SEARCH") for step in plan), plan


@pytest.mark.parametrize(
    ("text", "step", "sorts"),
    [
        ("", "INDEX visibility_listed (namespace_id=? AND kind=?)", False),
        ("WorkflowType = 'x'", "INDEX visibility_listed (namespace_id=? AND kind=?)", False),
        (
            "ExecutionStatus = 'Running'",
            "INDEX visibility_listed (namespace_id=? AND kind=? AND listed_at_ns=?)",
            False,
        ),
        ("WorkflowId = 'x'", "INDEX visibility_workflow (namespace_id=? AND workflow_id=?)", True),
        ("Customer = 'x'", "INDEX search_attributes_value (namespace_id=? AND name=? AND value=?)", True),
    ],
)
async def test_lists_use_the_indexes_made_for_them(tmp_path: Path, text: str, step: str, sorts: bool) -> None:
    query = parse(text, {"Customer": KEYWORD})
    compiler = Compiler(SqliteDialect())
    sql, parameters = compiler.list(NAMESPACE, query, compiler.order(query.order), (), 10)
    database = SqliteDatabase.open(tmp_path / "perdure.db")
    with database.reading() as cursor:
        plan = [row[3] for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    await database.close()
    assert any(step in actual for actual in plan), plan
    assert not any(actual.startswith("SCAN") for actual in plan), plan
    assert ("USE TEMP B-TREE FOR ORDER BY" in plan) == sorts, plan
