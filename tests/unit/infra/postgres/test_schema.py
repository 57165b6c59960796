from __future__ import annotations

import asyncio
import subprocess
import sys

import asyncpg
import pytest

from perdure.infra.postgres import BadDatabases
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.schema import migrate
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import StoreUnusable
from tests.support.postgres import PostgresForTests, opened

COMMAND = [sys.executable, "-c", "from perdure.infra.cli import main; main()", "admin", "migrate"]


async def execute(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()


async def test_shards_are_shared_out_once(postgres: PostgresForTests) -> None:
    dsns = postgres.new(3)
    await migrate(dict(list(dsns.items())[:2]), shard_count=4)
    # A database that comes later gets none by itself, and the number of shards stays.
    assert await migrate(dsns, shard_count=8) == ["more2: shards/0001_initial.sql", "more2: shards/0002_usage.sql"]
    assert await migrate(dsns) == []
    async with opened(dsns) as stores:
        assert stores.databases.shard_count == 4
        assert [stores.executions.database_of(ShardId(number)) for number in range(4)] == ["main"] * 2 + ["more1"] * 2
        assert len(await stores.shards.acquire([ShardId(number) for number in range(4)], "owner")) == 4
    assert await migrate(dsns) == []
    async with opened(dsns) as stores:
        assert [lease.epoch for lease in (await stores.shards.leases()).known] == [1] * 4


async def test_several_may_migrate_at_once(postgres: PostgresForTests) -> None:
    dsns = postgres.new(2)
    await asyncio.gather(*(migrate(dsns, shard_count=4) for _ in range(3)))
    async with opened(dsns) as stores:
        assert stores.databases.shard_count == 4


async def test_a_server_needs_the_schema_that_it_knows(postgres: PostgresForTests) -> None:
    dsns = postgres.new(1)
    with pytest.raises(StoreUnusable, match=r"database main has directory schema 0 .*perdure admin migrate"):
        await PostgresDatabases.open(dsns)
    await migrate(dsns)
    await execute(dsns["main"], "UPDATE schema_versions SET version = 1000 WHERE part = 'shards'")
    with pytest.raises(StoreUnusable, match="database main was migrated by a newer Perdure"):
        await PostgresDatabases.open(dsns)
    with pytest.raises(StoreUnusable, match="newer"):
        await migrate(dsns)
    await execute(dsns["main"], "UPDATE schema_versions SET version = 0 WHERE part = 'shards'")
    with pytest.raises(StoreUnusable, match="database main has shards schema 0"):
        await PostgresDatabases.open(dsns)


async def test_databases_of_others_are_left_alone(postgres: PostgresForTests) -> None:
    dsns = postgres.new(1)
    await execute(dsns["main"], "CREATE TABLE theirs ()")
    with pytest.raises(BadDatabases, match="not Perdure's"):
        await migrate(dsns)


async def test_databases_have_to_belong_together(postgres: PostgresForTests) -> None:
    dsns, others = postgres.new(2), postgres.new(2)
    await migrate(dsns)
    await migrate(others)
    stranger = dsns | {"more1": others["more1"]}
    mixed_up = dict(zip(dsns, reversed(dsns.values()), strict=True))
    for wrong, message in (
        ({"main": dsns["main"]}, "no address is given for database more1"),
        (stranger, "more1 does not belong to the cluster"),
        (mixed_up, "directory schema 0"),
        ({"main": dsns["main"], "other": dsns["more1"]}, "is called more1"),
    ):
        with pytest.raises((BadDatabases, StoreUnusable), match=message):
            await PostgresDatabases.open(wrong)
    with pytest.raises(BadDatabases, match="does not belong"):
        await migrate(stranger)


def test_the_command(postgres: PostgresForTests) -> None:
    dsns = postgres.new(2)
    flags = [part for name, dsn in dsns.items() for part in ("--database", f"{name}={dsn}")]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)

    done = run(*flags, "--shards", "4")
    assert (done.returncode, done.stderr) == (0, "")
    other = run(*flags, "--shards", "8")
    assert (other.returncode, other.stderr) == (1, "perdure: the cluster has 4 shards for ever: 8 needs a new one\n")
    assert "main: directory/0001_initial.sql\n" in done.stdout
    assert run(*flags).stdout == "nothing to do\n"

    for arguments, code, message in (
        ((), 2, "no database is named"),
        (("--database", "main"), 2, "name=address"),
        (("--database", f"main={dsns['more1']}"), 1, "does not belong"),
        (("--database", "main=postgresql:///none?host=/nowhere"), 1, "database main"),
    ):
        failed = run(*arguments)
        assert failed.returncode == code, failed
        assert message in failed.stderr
        assert len(failed.stderr.splitlines()) == 1
