"""Two owners and one shard, on real connections."""

from __future__ import annotations

import asyncio

import pytest

from perdure.infra.postgres.shards import ACQUIRE
from perdure.infra.postgres.writes import segments
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import ShardLost, ShardWrite
from tests.support.postgres import PostgresForTests, PostgresStores, blocked, connected, opened
from tests.support.records import SHARD, head, key, record, write


def begun(run_id: str = "run-1", shard: ShardId = SHARD) -> ShardWrite:
    run = key(run_id=run_id)
    return write(shard=shard, journal=[record(run, 1, 1, 1)], heads=[head(run)])


@pytest.fixture
async def dsns(postgres: PostgresForTests) -> dict[str, str]:
    return await postgres.empty(1)


async def test_to_take_a_shard_is_to_wait_for_the_write_under_way(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores, connected(dsns["main"]) as earlier:
        epochs = await stores.shards.acquire([SHARD], "earlier")
        (segment,) = segments([begun()])
        statement, parameters = segment.statement(epochs)
        transaction = earlier.transaction()
        await transaction.start()
        assert await earlier.fetch(statement, *parameters) == []

        taking = asyncio.create_task(stores.shards.acquire([SHARD], "later"))
        await blocked(dsns["main"])
        await transaction.commit()
        assert await taking == {SHARD: 2}
        assert await stores.executions.load(SHARD, key()) is not None


async def test_a_write_waits_for_who_takes_its_shard_and_then_fails(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores, connected(dsns["main"]) as later:
        epochs = await stores.shards.acquire([SHARD, ShardId(8)], "earlier")
        transaction = later.transaction()
        await transaction.start()
        assert [tuple(row) for row in await later.fetch(ACQUIRE, [SHARD], "later", [None])] == [(SHARD, 2)]

        writing = asyncio.create_task(stores.executions.write([begun(), begun("run-2", ShardId(8))], epochs))
        await blocked(dsns["main"])
        await transaction.commit()
        with pytest.raises(ShardLost) as caught:
            await writing
        assert caught.value.shards == (SHARD,)
        assert await stores.executions.load(SHARD, key()) is None
        assert await stores.executions.load(ShardId(8), key(run_id="run-2")) is None


async def test_of_two_who_have_seen_the_same_owner_one_takes_his_shard(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores, connected(dsns["main"]) as faster:
        seen = await stores.shards.acquire([SHARD, ShardId(8)], "earlier")
        transaction = faster.transaction()
        await transaction.start()
        assert len(await faster.fetch(ACQUIRE, [SHARD], "faster", [seen[SHARD]])) == 1

        taking = asyncio.create_task(stores.shards.acquire([SHARD, ShardId(8)], "slower", seen))
        await blocked(dsns["main"])
        await transaction.commit()
        assert await taking == {ShardId(8): 2}


async def test_a_write_goes_on_when_the_taking_is_undone(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores, connected(dsns["main"]) as later:
        epochs = await stores.shards.acquire([SHARD], "earlier")
        transaction = later.transaction()
        await transaction.start()
        await later.fetch(ACQUIRE, [SHARD], "later", [None])
        writing = asyncio.create_task(stores.executions.write([begun()], epochs))
        await blocked(dsns["main"])
        await transaction.rollback()
        await writing
        assert await stores.executions.load(SHARD, key()) is not None


async def test_a_write_in_several_statements_is_fenced_as_a_whole(dsns: dict[str, str]) -> None:
    async with opened(dsns) as stores:
        epochs = await stores.shards.acquire([SHARD], "earlier")
        await stores.shards.acquire([SHARD], "later")
        with pytest.raises(ShardLost):
            await stores.executions.write([begun(), write(deleted=[key()]), begun()], epochs)
        assert await stores.executions.load(SHARD, key()) is None


async def test_owners_who_take_turns_append_to_one_journal(dsns: dict[str, str]) -> None:
    """Each loads what is there and goes on from it: every acknowledged write must be seen by all owners after it."""
    acknowledged: list[int] = []

    async def own(stores: PostgresStores, name: str) -> None:
        for _ in range(8):
            epochs = await stores.shards.acquire([SHARD], name)
            # Before the load: while it is under way another owner may come and go on.
            last = acknowledged[-1] if acknowledged else 0
            stored = await stores.executions.load(SHARD, key())
            sequence = stored.head.sequence if stored else 0
            assert sequence >= last
            try:
                for _ in range(5):
                    sequence += 1
                    added = record(key(), sequence, sequence, 1)
                    await stores.executions.write([write(journal=[added], heads=[head(key(), sequence)])], epochs)
                    acknowledged.append(sequence)
            except ShardLost:
                continue

    async with opened(dsns) as first, opened(dsns) as second, opened(dsns) as third:
        await asyncio.gather(*(own(stores, str(number)) for number, stores in enumerate((first, second, third))))
        stored = await first.executions.load(SHARD, key())
    assert stored is not None
    # Without a gap, or it could not have been loaded; and nothing that was acknowledged was written over.
    assert len(set(acknowledged)) == len(acknowledged)
    assert {each.sequence for each in stored.tail} >= set(acknowledged)


async def test_all_shards_can_be_taken_by_several_at_once(dsns: dict[str, str]) -> None:
    shards = [ShardId(number) for number in range(512)]
    async with opened(dsns) as first, opened(dsns) as second:
        epochs = await asyncio.gather(
            first.shards.acquire(shards, "first"), second.shards.acquire(list(reversed(shards)), "second")
        )
        for shard in shards:
            assert {taken[shard] for taken in epochs} == {1, 2}
        assert [lease.shard for lease in (await first.shards.leases()).known] == shards
