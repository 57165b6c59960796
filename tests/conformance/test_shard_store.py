from __future__ import annotations

import pytest

from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.executions import ExecutionStore, ShardLost
from perdure.kernel.persistence.shards import ShardLease, ShardStore
from tests.support.records import head, key, record, write

ONE, TWO = ShardId(1), ShardId(2)


async def test_epochs_rise_per_shard(shards: ShardStore) -> None:
    assert await shards.acquire([ONE], "a") == {ONE: 1}
    assert await shards.acquire([TWO, ONE], "b") == {ONE: 2, TWO: 1}
    assert await shards.acquire([], "b") == {}
    assert (await shards.leases()).known == [ShardLease(ONE, 2, "b"), ShardLease(TWO, 1, "b")]


async def test_a_shard_is_left_alone_that_has_been_taken_since_it_was_seen(shards: ShardStore) -> None:
    assert await shards.acquire([ONE, TWO], "a", {ONE: 0, TWO: 0}) == {ONE: 1, TWO: 1}
    assert await shards.acquire([TWO], "b", {TWO: 1}) == {TWO: 2}
    assert await shards.acquire([ONE, TWO], "c", {ONE: 1, TWO: 1}) == {ONE: 2}
    assert await shards.acquire([ONE, TWO], "d", {ONE: 0, TWO: 0}) == {}
    assert (await shards.leases()).known == [ShardLease(ONE, 2, "c"), ShardLease(TWO, 2, "b")]
    assert await shards.acquire([ONE, TWO], "e", {TWO: 1}) == {ONE: 3}, "no matter how the first was seen"


async def test_it_may_be_given_back_meanwhile(shards: ShardStore) -> None:
    epochs = await shards.acquire([ONE], "a")
    await shards.release(epochs)
    assert await shards.acquire([ONE], "b", epochs) == {ONE: 2}


async def test_a_shard_that_was_given_back_has_no_owner(shards: ShardStore) -> None:
    epochs = await shards.acquire([ONE, TWO], "a")
    await shards.release({ONE: epochs[ONE]})
    assert (await shards.leases()).known == [ShardLease(ONE, 1, ""), ShardLease(TWO, 1, "a")]


async def test_only_the_owner_can_give_a_shard_back(shards: ShardStore) -> None:
    earlier = await shards.acquire([ONE], "a")
    await shards.acquire([ONE], "b")
    await shards.release(earlier)
    assert (await shards.leases()).known == [ShardLease(ONE, 2, "b")]


async def test_who_has_lost_a_shard_cannot_write(shards: ShardStore, executions: ExecutionStore) -> None:
    earlier = await shards.acquire([ONE], "a")
    later = await shards.acquire([ONE], "b")
    begun = write(shard=ONE, journal=[record(key(), 1, 1, 1)], heads=[head(key())])
    with pytest.raises(ShardLost) as caught:
        await executions.write([begun], earlier)
    assert caught.value.shards == (ONE,)
    await executions.write([begun], later)
    assert await executions.load(ONE, key()) is not None
