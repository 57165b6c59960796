"""Statements find their rows by the indexes that were made for them, on an empty database and on a full one."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from perdure.infra.postgres import namespaces, reads, statements
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.dialect import PostgresDialect, held, numbered
from perdure.infra.postgres.schema import migrate
from perdure.infra.visibility.compiler import Compiler
from perdure.kernel.ids import ShardId
from perdure.kernel.visibility.attributes import KEYWORD
from perdure.kernel.visibility.parser import parse
from tests.support.postgres import PostgresForTests, connected
from tests.support.records import NAMESPACE

READS = {
    "current runs": reads.CURRENT_RUNS,
    "executions": reads.EXECUTIONS,
    "events": reads.EVENTS,
    "events reverse": reads.EVENTS_REVERSE,
    "due": reads.DUE,
    "undispatched": reads.UNDISPATCHED,
    "runs": reads.RUNS,
    "changed namespaces": namespaces.CHANGED,
}

WRITES = {
    part.name: statements.compose((part,))
    for part in (
        *(statements.JOURNAL, statements.HEADS, statements.CURRENT, statements.SNAPSHOTS, statements.USAGE),
        *(statements.VISIBILITY, statements.FORGOTTEN_ATTRIBUTES, statements.ATTRIBUTES, *statements.DELETIONS),
    )
}

#: Runs of a namespace that has most of them, and of one that has few; some have an attribute.
FILL = """
    INSERT INTO visibility
    SELECT 1, CASE WHEN number % 100 = 0 THEN 'small' ELSE 'namespace-1' END, 'run-' || number, 'order-' || number, 0,
           'Order', 'orders', CASE WHEN number > 29900 THEN 1 ELSE 2 END, number, number,
           CASE WHEN number <= 29900 THEN number END,
           CASE WHEN number <= 29900 THEN number ELSE 9223372036854775807 END,
           0, 0, 0, NULL, NULL, NULL, NULL, NULL, 0, '', ''
    FROM generate_series(1, 30000) AS number;
    INSERT INTO search_attributes
    SELECT shard, namespace_id, run_id, workflow_id, kind, 'Customer', 0, 'customer ' || start_time_ns, NULL, NULL
    FROM visibility WHERE start_time_ns % 3 = 0;
    ANALYZE"""


async def plan(connection: asyncpg.Connection, statement: str) -> list[str]:
    """The plan for any parameters, which is the one that is used."""
    await connection.execute(f"PREPARE explained AS {statement}")
    count = len(set(re.findall(r"\$\d+", statement)))
    lines = await connection.fetch(f"EXPLAIN EXECUTE explained ({', '.join(['NULL'] * count)})")
    await connection.execute("DEALLOCATE explained")
    return [line[0] for line in lines]


@pytest.fixture
async def databases(postgres: PostgresForTests) -> AsyncIterator[PostgresDatabases]:
    databases = await PostgresDatabases.open(await postgres.empty(1))
    yield databases
    await databases.close()


@pytest.fixture(scope="module")
def filled(postgres: PostgresForTests) -> str:
    """A database with many runs."""
    dsns = postgres.new(1)

    async def fill() -> None:
        await migrate(dsns)
        async with connected(dsns["main"]) as connection:
            await connection.execute(FILL)

    asyncio.run(fill())
    return dsns["main"]


@pytest.mark.parametrize("statement", READS.values(), ids=READS)
async def test_reads_do_not_scan_tables(databases: PostgresDatabases, statement: str) -> None:
    lines = await databases.directory.reads.run(lambda connection: plan(connection, statement))
    scanned = [line for line in lines if "Seq Scan" in line and "namespace_revision" not in line]
    assert not scanned, lines


@pytest.mark.parametrize("statement", [reads.DUE, reads.UNDISPATCHED, reads.RUNS, reads.EVENTS, reads.EVENTS_REVERSE])
async def test_pages_are_not_sorted(databases: PostgresDatabases, statement: str) -> None:
    lines = await databases.directory.reads.run(lambda connection: plan(connection, statement))
    assert not [line for line in lines if "Sort" in line], lines


@pytest.mark.parametrize("statement", WRITES.values(), ids=WRITES)
async def test_writes_do_not_scan_tables(databases: PostgresDatabases, statement: str) -> None:
    lines = await databases.directory.writes.run(lambda connection: plan(connection, statement))
    assert not [line for line in lines if "Seq Scan" in line], lines


@pytest.mark.parametrize(
    ("text", "index", "sorts"),
    [
        ("", "visibility_listed", False),
        ("WorkflowType = 'Order'", "visibility_listed", False),
        ("ExecutionStatus = 'Running'", "visibility_listed", False),
        ("WorkflowId = 'order-5'", "visibility_workflow", True),
        ("Customer = 'customer 9'", "search_attributes_text", True),
    ],
)
async def test_lists_use_the_indexes_made_for_them(filled: str, text: str, index: str, sorts: bool) -> None:
    compiler = Compiler(PostgresDialect())
    query = parse(text, {"Customer": KEYWORD})
    async with connected(filled) as connection:
        for namespace_id in (NAMESPACE, "small"):
            for after in ((), (20000, 20000, "run-20000")):
                page = compiler.list(namespace_id, query, compiler.order(query.order), after, 10)
                sql, parameters = numbered(page)
                all_shards = [ShardId(number) for number in range(512)]
                explained = await connection.fetch(f"EXPLAIN {sql}", *held(parameters, all_shards))
                lines = [line[0] for line in explained]
                assert any(index in line for line in lines), lines
                assert any("Sort" in line for line in lines) == sorts, lines
