"""Stores whose shards are in two databases."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from perdure.infra.postgres import PostgresDatabases, PostgresShardStore
from perdure.kernel.ids import RunId, ShardId, WorkflowId
from perdure.kernel.persistence.executions import CurrentRun, StoreUnavailable
from perdure.kernel.persistence.shards import ShardLease
from perdure.kernel.persistence.visibility import CountGroup
from perdure.kernel.visibility.attributes import INT, KEYWORD
from perdure.kernel.visibility.parser import parse
from tests.support.postgres import PostgresForTests, PostgresStores, opened
from tests.support.records import A_START, NAMESPACE, head, key, record, starts, visible, write

#: The first 256 shards are in one database, the rest in the other.
HERE, THERE = ShardId(1), ShardId(400)
ATTRIBUTES = {"Amount": INT, "Customer": KEYWORD}


@pytest.fixture
async def stores(postgres: PostgresForTests) -> AsyncIterator[PostgresStores]:
    async with opened(await postgres.empty(2)) as both:
        yield both


async def test_shards_of_both_are_taken_together(stores: PostgresStores) -> None:
    assert await stores.shards.acquire([THERE, HERE], "a") == {HERE: 1, THERE: 1}
    assert [lease.shard for lease in (await stores.shards.leases()).known] == [HERE, THERE]
    assert stores.executions.database_of(HERE) != stores.executions.database_of(THERE)


async def test_shards_of_one_are_taken_while_the_other_is_down(postgres: PostgresForTests) -> None:
    dsns = await postgres.empty(2)
    more = dsns["more1"]
    dsns["more1"] = more.replace(more.rsplit("/", 1)[1], "no_such_database")
    with pytest.raises(StoreUnavailable):
        await PostgresDatabases.open(dsns)
    databases = await PostgresDatabases.open(dsns, all_there=False)
    shards = PostgresShardStore(databases)
    try:
        epochs = await shards.acquire([THERE, HERE], "a")
        assert epochs == {HERE: 1}
        known, unknown = await shards.leases()
        assert known == [ShardLease(HERE, 1, "a")]
        assert unknown == {ShardId(number) for number in range(256, 512)}
        with pytest.raises(StoreUnavailable):
            await shards.acquire([THERE], "a")
        with pytest.raises(StoreUnavailable):
            await shards.release({THERE: 1, HERE: 1})
        assert (await shards.leases()).known == [ShardLease(HERE, 1, "")]
    finally:
        await databases.close()


async def test_a_write_is_to_one_database(stores: PostgresStores) -> None:
    epochs = await stores.shards.acquire([HERE, THERE], "a")
    with pytest.raises(ValueError, match="several databases"):
        await stores.executions.write([write(shard=HERE), write(shard=THERE)], epochs)


async def test_rows_stay_with_their_shard(stores: PostgresStores) -> None:
    epochs = await stores.shards.acquire([HERE, THERE], "a")
    for shard in (HERE, THERE):
        run = key(run_id=f"run {shard}")
        await stores.executions.write(
            [
                write(
                    shard=shard,
                    journal=[record(run, 1, 1, 1)],
                    heads=[head(run, needs_dispatch=True)],
                    current=[CurrentRun(run.workflow, run.run_id)],
                    **A_START,
                )
            ],
            {shard: epochs[shard]},
        )
        assert await stores.executions.current_run(shard, run.workflow) == run.run_id
        assert [each.key for each in await stores.executions.undispatched(shard, None, 10)] == [run]
        assert await stores.executions.read_history(shard, run, 1, 10, 1000) == [record(run, 1, 1, 1)]
    assert await stores.executions.load(HERE, key(run_id=f"run {THERE}")) is None
    assert await starts(stores.usage) == 2


@pytest.mark.parametrize(
    "text",
    ["", "ORDER BY CloseTime", "ORDER BY CloseTime DESC", "ORDER BY Amount, StartTime DESC", "ORDER BY WorkflowId"],
)
async def test_lists_are_merged(stores: PostgresStores, text: str) -> None:
    epochs = await stores.shards.acquire([HERE, THERE], "a")
    records = [
        visible(
            f"order-{number * 7 % 23}-{'é' if number % 2 else 'z'}",
            f"run-{number:02}",
            start_time_ns=number // 4,
            close_time_ns=number // 3 if number % 2 else None,
            search_attributes={"Amount": number % 5, "Customer": "Ann"} if number % 3 else {},
        )
        for number in range(23)
    ]
    for number, each in enumerate(records):
        shard = THERE if number % 3 == 1 else HERE
        await stores.executions.write([write(shard=shard, visibility=[each])], {shard: epochs[shard]})
    query = parse(text, ATTRIBUTES)
    whole = [each.run_id for each in (await stores.visibility.list(NAMESPACE, query, 100, b"")).records]
    by_run = {each.run_id: each for each in records}

    def place(run_id: str) -> tuple[object, ...]:
        each = by_run[RunId(run_id)]
        close, amount = each.close_time_ns, each.search_attributes.get("Amount")
        default = (close is not None, -(close or 0), -each.start_time_ns)
        return {
            "": default,
            "ORDER BY CloseTime": (close is not None, close or 0),
            "ORDER BY CloseTime DESC": (close is None, -(close or 0)),
            "ORDER BY Amount, StartTime DESC": (amount is not None, amount or 0, -each.start_time_ns),
            "ORDER BY WorkflowId": (WorkflowId(each.workflow_id).encode(),),
        }[text]

    assert sorted(whole) == sorted(by_run)
    assert [place(run_id) for run_id in whole] == sorted(place(run_id) for run_id in whole)

    listed: list[str] = []
    token = b""
    while len(listed) < len(records):
        page = await stores.visibility.list(NAMESPACE, query, 4, token)
        listed += [each.run_id for each in page.records]
        token = page.next_page_token
    assert not token
    assert listed == whole


async def test_counts_are_added(stores: PostgresStores) -> None:
    epochs = await stores.shards.acquire([HERE, THERE], "a")
    for number, shard in enumerate((HERE, THERE, THERE)):
        shown = visible(run_id=str(number), close_time_ns=5 if number == 1 else None)
        await stores.executions.write([write(shard=shard, visibility=[shown])], {shard: epochs[shard]})
    assert await stores.visibility.count(NAMESPACE, parse("GROUP BY ExecutionStatus", {})) == (
        3,
        [CountGroup((1,), 2), CountGroup((2,), 1)],
    )
    assert await stores.visibility.count(NAMESPACE, parse("CloseTime IS NULL", {})) == (2, [])
