"""Shards that move between databases, and movers that do not get to the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import pytest

from perdure.infra.postgres import BadDatabases, moves
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.maintenance import Busy, maintenance
from perdure.infra.postgres.moves import Move, ShardMover, Step
from perdure.infra.postgres.schema import SHARD_TABLES, migrate
from perdure.infra.postgres.shards import PostgresShardStore
from perdure.kernel.ids import ShardId
from perdure.kernel.news import NoNews, Topic
from perdure.kernel.persistence.executions import CurrentRun, ShardLost, Snapshot
from perdure.kernel.visibility.attributes import KEYWORD
from perdure.kernel.visibility.parser import parse
from tests.support.postgres import PostgresForTests, PostgresStores, connected, opened
from tests.support.records import A_START, NAMESPACE, head, key, record, starts, visible, write

MOVING, STAYING = ShardId(3), ShardId(4)
ATTRIBUTES = {"Customer": KEYWORD}
Epochs = Mapping[ShardId, int]


class Killed(BaseException):
    """The mover is gone, and cleans nothing up."""


@pytest.fixture
async def dsns(postgres: PostgresForTests, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    # Nobody here notices anything by himself.
    monkeypatch.setattr(moves, "FAREWELL_S_MAX", 0.1)
    return await postgres.empty(2)


async def run_of(stores: PostgresStores, epochs: Epochs, shard: ShardId, name: str, sequence: int = 1) -> None:
    """Write one more record of a run."""
    run = key(name, f"run of {name}")
    await stores.executions.write(
        [
            write(
                shard=shard,
                journal=[record(run, sequence, sequence, 1, b"changes")],
                heads=[head(run, sequence, needs_dispatch=True)],
                current=[CurrentRun(run.workflow, run.run_id)],
                snapshots=[Snapshot(run, sequence, b"state")] if sequence == 2 else [],
                visibility=[visible(name, run.run_id, search_attributes={"Customer": f"after {sequence}"})],
                **A_START,
            )
        ],
        {shard: epochs[shard]},
    )


async def contents(dsn: str, shard: ShardId) -> dict[str, list[Any]]:
    async with connected(dsn) as connection:
        return {
            table: sorted(map(repr, await connection.fetch(f"SELECT * FROM {table} WHERE shard = $1", shard)))
            for table in SHARD_TABLES
        }


async def move(dsns: Mapping[str, str], to: str, killed_after: Step | None = None) -> int:
    def progress(step: Step, moved: Move) -> None:
        if step is killed_after:
            raise Killed

    async with maintenance(dsns) as at:
        return await ShardMover(at, NoNews(), progress).move([MOVING], to, asyncio.Event())


async def listed(stores: PostgresStores) -> list[str]:
    page = await stores.visibility.list(NAMESPACE, parse("", ATTRIBUTES), 100, b"")
    count, _ = await stores.visibility.count(NAMESPACE, parse("", ATTRIBUTES))
    assert count == len(page.records)
    return sorted(each.workflow_id for each in page.records)


async def test_everything_of_the_shard_and_nothing_else_is_moved(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([MOVING, STAYING], "owner")
        for name in ("a", "b"):
            for sequence in (1, 2, 3):
                await run_of(stores, epochs, MOVING, name, sequence)
        await run_of(stores, epochs, STAYING, "other")
        await stores.executions.quarantine(MOVING, key("b", "run of b"), "damaged", 5)
        before, others = await contents(dsns["main"], MOVING), await contents(dsns["main"], STAYING)

        assert await move(dsns, "more1") == 1

        assert await contents(dsns["more1"], MOVING) == before
        assert await contents(dsns["main"], MOVING) == {table: [] for table in SHARD_TABLES}
        assert await contents(dsns["main"], STAYING) == others
        with pytest.raises(ShardLost):
            await run_of(stores, epochs, MOVING, "a", 4)
        await run_of(stores, epochs, STAYING, "other", 2)

        again = await stores.shards.acquire([MOVING], "owner")
        assert again[MOVING] > epochs[MOVING]
        assert stores.executions.database_of(MOVING) == "more1"
        await run_of(stores, again, MOVING, "a", 4)
        stored = await stores.executions.load(MOVING, key("a", "run of a"))
        assert stored is not None and stored.head.sequence == 4
        assert await starts(stores.usage) == 9
        assert await listed(stores) == ["a", "b", "other"]
        assert await move(dsns, "more1") == 0


async def test_what_changes_while_it_is_copied_is_moved_too(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([MOVING], "owner")
        for name in ("old", "changed", "deleted", "restarted"):
            await run_of(stores, epochs, MOVING, name)
        with pytest.raises(Killed):
            await move(dsns, "more1", Step.COPIED)
        await run_of(stores, epochs, MOVING, "changed", 2)
        await run_of(stores, epochs, MOVING, "new")
        again = key("restarted", "second run")
        gone = [key(name, f"run of {name}") for name in ("deleted", "restarted")]
        await stores.executions.write(
            [
                write(
                    shard=MOVING,
                    journal=[record(again, 1, 1, 1)],
                    heads=[head(again)],
                    current=[CurrentRun(again.workflow, again.run_id)],
                ),
                write(shard=MOVING, deleted=gone),
            ],
            epochs,
        )
        before = await contents(dsns["main"], MOVING)
        assert await move(dsns, "more1") == 1
        assert await contents(dsns["more1"], MOVING) == before


@pytest.mark.parametrize("killed_after", [step for step in Step if step is not Step.UNDONE])
@pytest.mark.parametrize("then", ["on", "back"])
async def test_a_mover_may_end_anywhere(dsns: dict[str, str], killed_after: Step, then: str) -> None:
    """Lists are right at once; the next mover, wherever it moves the shard to, makes it as if nothing had happened."""
    async with opened(dsns) as stores, opened(dsns) as late:
        epochs = await stores.shards.acquire([MOVING], "owner")
        for name in ("a", "b"):
            for sequence in (1, 2, 3):
                await run_of(stores, epochs, MOVING, name, sequence)
        # This one knows the map of now.
        assert await listed(late) == ["a", "b"]
        before = await contents(dsns["main"], MOVING)
        # Or the mover waits for somebody to take it.
        await stores.shards.release(epochs)
        with pytest.raises(Killed):
            await move(dsns, "more1", killed_after)
        assert await listed(late) == await listed(stores) == ["a", "b"]
        assert await starts(late.usage) == 6

        there, gone = ("more1", "main") if then == "on" else ("main", "more1")
        await move(dsns, there)
        assert await contents(dsns[there], MOVING) == before
        assert await contents(dsns[gone], MOVING) == {table: [] for table in SHARD_TABLES}
        assert await listed(late) == await listed(stores) == ["a", "b"]
        epochs = await stores.shards.acquire([MOVING], "owner")
        assert stores.executions.database_of(MOVING) == there
        await run_of(stores, epochs, MOVING, "a", 4)
        assert [lease.shard for lease in (await stores.shards.leases()).known] == [MOVING]


@pytest.mark.parametrize("target_is_reached", [True, False])
async def test_a_shard_that_could_not_be_moved_is_served_where_it_was(
    dsns: dict[str, str], target_is_reached: bool
) -> None:
    def progress(step: Step, moved: Move) -> None:
        if step is Step.CAUGHT_UP:
            raise OSError("a network") if target_is_reached else Killed

    async with opened(dsns) as stores:
        await stores.shards.release(await stores.shards.acquire([MOVING], "owner"))
        with pytest.raises(BaseException, match="a network" if target_is_reached else ""):
            async with maintenance(dsns) as at:
                await ShardMover(at, NoNews(), progress).move([MOVING], "more1", asyncio.Event())
        if not target_is_reached:
            async with connected(dsns["main"]) as connection:
                await connection.execute("UPDATE shards SET owner = '' WHERE shard = $1", MOVING)
        (before,) = (await stores.shards.leases()).known
        assert not before.owner
        epochs = await stores.shards.acquire([MOVING], "owner", {MOVING: before.epoch})
        (after,) = (await stores.shards.leases()).known
        assert (after.owner, after.epoch) == ("owner", epochs[MOVING])
    await move(dsns, "more1")


async def test_an_owner_goes_on_while_its_shard_is_copied(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([MOVING], "owner")
        await run_of(stores, epochs, MOVING, "a")
        with pytest.raises(Killed):
            await move(dsns, "more1", Step.COPIED)
        await run_of(stores, epochs, MOVING, "a", 2)
        assert await listed(stores) == ["a"]


async def test_what_an_undone_move_has_left_does_not_come_back(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([MOVING], "owner")
        await run_of(stores, epochs, MOVING, "a")
        async with connected(dsns["more1"]) as connection:
            await connection.execute(
                "INSERT INTO heads VALUES ($1, 'namespace-1', 'r', 'stranger', 0, 9, 9, 1, NULL, true)", MOVING
            )
        before = await contents(dsns["main"], MOVING)
        await move(dsns, "more1")
        assert await contents(dsns["more1"], MOVING) == before


async def test_a_shard_without_an_owner_is_told_of(dsns: dict[str, str]) -> None:
    told: list[Topic] = []

    class Heard(NoNews):
        def tell(self, topic: Topic) -> None:
            told.append(topic)

    async with maintenance(dsns) as at:
        await ShardMover(at, Heard(), lambda step, moved: None).move([MOVING], "more1", asyncio.Event())
    assert told == [Topic.SHARDS]
    await move(dsns, "main")


async def test_one_at_a_time(dsns: dict[str, str]) -> None:
    async with maintenance(dsns):
        with pytest.raises(Busy, match="somebody else"):
            await move(dsns, "more1")
    assert await move(dsns, "more1") == 1
    assert await move(dsns, "main") == 1


async def test_nonsense_is_refused(dsns: dict[str, str]) -> None:
    async with maintenance(dsns) as at:
        mover = ShardMover(at, NoNews(), lambda step, moved: None)
        with pytest.raises(BadDatabases, match=r"^there is no database elsewhere, but main, more1$"):
            await mover.move([MOVING], "elsewhere", asyncio.Event())
        with pytest.raises(BadDatabases, match=r"^there is no shard 512: they are numbered from 0 to 511$"):
            await mover.move([ShardId(511), ShardId(512)], "more1", asyncio.Event())
    with pytest.raises(BadDatabases, match="no address is given for database more1, which holds shards"):
        await move({"main": dsns["main"]}, "main")


async def test_a_process_that_does_not_know_the_new_database_goes_on_with_the_other_shards(
    postgres: PostgresForTests,
) -> None:
    dsns = postgres.new(2)
    await migrate({"main": dsns["main"]}, shard_count=8)
    behind = await PostgresDatabases.open({"main": dsns["main"]})
    try:
        await migrate(dsns)
        await move(dsns, "more1")
        shards = PostgresShardStore(behind)
        assert list(await shards.acquire([MOVING, STAYING], "me")) == [STAYING]
        known, _ = await shards.leases()
        assert STAYING in {lease.shard for lease in known}
        with pytest.raises(BadDatabases, match="no address is given for database more1"):
            await behind.ask_all(lambda database: database.reads, no_question)
    finally:
        await behind.close()


async def no_question(connection: asyncpg.Connection, shards: Sequence[ShardId]) -> list[asyncpg.Record]:
    return list(await connection.fetch("SELECT 1"))
