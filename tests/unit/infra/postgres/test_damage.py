"""A flipped byte in a table concerns one execution, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import DamagedRecord, DataRefused, JournalRecord, Snapshot
from perdure.kernel.persistence.namespaces import DamagedNamespace
from perdure.kernel.visibility.query import Query
from tests.support.postgres import PostgresForTests, PostgresStores, connected, opened
from tests.support.records import NAMESPACE, SHARD, head, key, visible, write

BAD, GOOD = key("bad"), key("good")


@pytest.fixture
async def dsn(postgres: PostgresForTests) -> str:
    return (await postgres.empty(1))["main"]


@pytest.fixture
async def stores(dsn: str) -> AsyncIterator[PostgresStores]:
    async with opened({"main": dsn}) as stores:
        epochs = await stores.shards.acquire([SHARD], "owner")
        for run in (BAD, GOOD):
            marker = run.workflow_id.encode()
            records = [
                JournalRecord(run, 1, 1, 2, marker + b" events 1", marker + b" changes 1"),
                JournalRecord(run, 2, 3, 2, marker + b" events 2", marker + b" changes 2"),
            ]
            snapshot = Snapshot(run, 1, marker + b" state")
            shown = visible(run.workflow_id, memo=marker + b" memo", indexed_fields=b"fields")
            await stores.executions.write(
                [
                    write(
                        journal=records,
                        heads=[head(run, 2, wake_at_ns=1)],
                        snapshots=[snapshot],
                        visibility=[shown],
                    )
                ],
                epochs,
            )
        yield stores


async def change(dsn: str, statement: str) -> None:
    async with connected(dsn) as connection:
        assert (await connection.execute(statement)).endswith(" 1")


@pytest.mark.parametrize(
    "flip",
    [
        "UPDATE journal SET events = set_byte(events, 0, 0) WHERE workflow_id = 'bad' AND sequence = 2",
        "UPDATE journal SET changes = set_byte(changes, 0, 0) WHERE workflow_id = 'bad' AND sequence = 2",
        "UPDATE snapshots SET state = set_byte(state, 0, 0) WHERE workflow_id = 'bad'",
        "DELETE FROM journal WHERE workflow_id = 'bad' AND sequence = 2",
    ],
)
async def test_a_damaged_run_stops_alone(stores: PostgresStores, dsn: str, flip: str) -> None:
    await change(dsn, flip)
    # Asked for together, they are read together.
    bad, good = await asyncio.gather(
        stores.executions.load(SHARD, BAD), stores.executions.load(SHARD, GOOD), return_exceptions=True
    )
    assert isinstance(bad, DamagedRecord) and bad.key == BAD
    assert good is not None and not isinstance(good, BaseException)
    assert good.tail[0].events == b"good events 2"

    await stores.executions.quarantine(SHARD, BAD, str(bad), now_ns=1)
    assert [found.key for found in await stores.executions.due(SHARD, 10, None, 10)] == [GOOD]


async def test_damaged_history_is_noticed_where_it_is_read(stores: PostgresStores, dsn: str) -> None:
    await change(
        dsn, "UPDATE journal SET events = set_byte(events, 0, 0) WHERE workflow_id = 'bad' AND first_event_id = 1"
    )
    assert len(await stores.executions.read_history(SHARD, BAD, 3, 5, 1000)) == 1
    with pytest.raises(DamagedRecord):
        await stores.executions.read_history(SHARD, BAD, 1, 5, 1000)
    with pytest.raises(DamagedRecord):
        await stores.executions.read_history_reverse(SHARD, BAD, 5, 1000)
    assert len(await stores.executions.read_history(SHARD, GOOD, 1, 5, 1000)) == 2


async def test_a_damaged_memo_hides_itself_and_not_the_list(stores: PostgresStores, dsn: str) -> None:
    await change(dsn, "UPDATE visibility SET memo = set_byte(memo, 0, 0) WHERE workflow_id = 'bad'")
    page = await stores.visibility.list(NAMESPACE, Query(), 10, b"")
    shown = {record.workflow_id: (record.memo, record.indexed_fields) for record in page.records}
    assert shown == {"bad": (b"", b""), "good": (b"good memo", b"fields")}


async def test_a_damaged_namespace_is_reported(stores: PostgresStores, dsn: str) -> None:
    await stores.namespaces.create(Namespace(NamespaceId("id"), NamespaceName("shop"), description="described"))
    await change(dsn, "UPDATE namespaces SET record = set_byte(record, 10, 0)")
    with pytest.raises(DamagedNamespace, match="shop"):
        await stores.namespaces.by_name(NamespaceName("shop"))
    whole = [Namespace(NamespaceId(name), NamespaceName(name)) for name in ("before", "warehouse")]
    for namespace in whole:
        await stores.namespaces.create(namespace)
    assert await stores.namespaces.changed_since(0) == (await stores.namespaces.revision(), whole)
    assert await stores.namespaces.list(None, 2) == whole, "a page is full if it is not the last"


async def test_an_id_that_postgres_cannot_hold_concerns_nobody_else(stores: PostgresStores) -> None:
    impossible = key("a\0")
    with pytest.raises(DataRefused):
        await stores.executions.load(SHARD, impossible)
    async with asyncio.timeout(10):
        answers = await asyncio.gather(
            *(stores.executions.load(SHARD, run) for run in (GOOD, impossible, GOOD)), return_exceptions=True
        )
    assert [type(answer).__name__ for answer in answers] == ["StoredExecution", "DataRefused", "StoredExecution"]
    assert await stores.namespaces.by_name(NamespaceName("a\0")) is None
