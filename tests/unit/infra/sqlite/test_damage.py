"""A flipped byte on the disk concerns one execution, and nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from perdure.infra.sqlite import (
    SqliteDatabase,
    SqliteExecutionStore,
    SqliteNamespaceStore,
    SqliteShardStore,
    SqliteVisibilityStore,
)
from perdure.kernel.ids import NamespaceId, NamespaceName
from perdure.kernel.namespace import Namespace
from perdure.kernel.persistence.executions import DamagedRecord, JournalRecord, Snapshot
from perdure.kernel.persistence.namespaces import DamagedNamespace
from perdure.kernel.visibility.query import Query
from tests.support.records import NAMESPACE, SHARD, head, key, visible, write

BAD, GOOD = key("bad"), key("good")


async def acquire(database: SqliteDatabase) -> int:
    return (await SqliteShardStore(database).acquire([SHARD], "owner"))[SHARD]


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    database = SqliteDatabase.open(tmp_path / "perdure.db")
    store = SqliteExecutionStore(database)
    epochs = {SHARD: await acquire(database)}
    for run in (BAD, GOOD):
        marker = run.workflow_id.encode()
        records = [
            JournalRecord(run, 1, 1, 2, marker + b" events 1", marker + b" changes 1"),
            JournalRecord(run, 2, 3, 2, marker + b" events 2", marker + b" changes 2"),
        ]
        await store.write(
            [
                write(
                    journal=records,
                    heads=[head(run, 2, wake_at_ns=1)],
                    snapshots=[Snapshot(run, 1, marker + b" state")],
                    visibility=[visible(run.workflow_id, memo=marker + b" memo", indexed_fields=b"fields")],
                )
            ],
            epochs,
        )
    await SqliteNamespaceStore(database).create(
        Namespace(NamespaceId("id"), NamespaceName("shop"), description="described")
    )
    await database.close()
    yield database
    assert apsw.Connection(str(database.path)).pragma("integrity_check") == "ok"


def flip(path: Path, text: bytes) -> None:
    """Change the last byte of the one place in the file that holds `text`."""
    content = bytearray(path.read_bytes())
    assert content.count(text) == 1
    content[content.index(text) + len(text) - 1] ^= 0x01
    path.write_bytes(content)


@pytest.mark.parametrize("blob", [b"bad events 2", b"bad changes 2", b"bad state"])
async def test_a_damaged_blob_stops_its_run_alone(database: SqliteDatabase, blob: bytes) -> None:
    flip(database.path, blob)
    database = SqliteDatabase.open(database.path)
    store = SqliteExecutionStore(database)
    with pytest.raises(DamagedRecord) as caught:
        await store.load(SHARD, BAD)
    assert caught.value.key == BAD
    stored = await store.load(SHARD, GOOD)
    assert stored is not None and stored.tail[0].events == b"good events 2"

    await store.quarantine(SHARD, BAD, str(caught.value), now_ns=1)
    assert [found.key for found in await store.due(SHARD, 10, None, 10)] == [GOOD]
    await database.close()


async def test_damaged_history_is_noticed_where_it_is_read(database: SqliteDatabase) -> None:
    flip(database.path, b"bad events 1")
    database = SqliteDatabase.open(database.path)
    store = SqliteExecutionStore(database)
    assert len(await store.read_history(SHARD, BAD, 3, 5, 1000)) == 1
    with pytest.raises(DamagedRecord):
        await store.read_history(SHARD, BAD, 1, 5, 1000)
    with pytest.raises(DamagedRecord):
        await store.read_history_reverse(SHARD, BAD, 5, 1000)
    assert len(await store.read_history(SHARD, GOOD, 1, 5, 1000)) == 2
    await database.close()


async def test_a_missing_record_is_damage_too(database: SqliteDatabase) -> None:
    shell = apsw.Connection(str(database.path))
    shell.execute("DELETE FROM journal WHERE workflow_id = 'bad' AND sequence = 2")
    shell.close()
    database = SqliteDatabase.open(database.path)
    with pytest.raises(DamagedRecord):
        await SqliteExecutionStore(database).load(SHARD, BAD)
    await database.close()


async def test_a_damaged_memo_hides_itself_and_not_the_list(database: SqliteDatabase) -> None:
    flip(database.path, b"bad memo")
    database = SqliteDatabase.open(database.path)
    page = await SqliteVisibilityStore(database).list(NAMESPACE, Query(), 10, b"")
    shown = {record.workflow_id: (record.memo, record.indexed_fields) for record in page.records}
    assert shown == {"bad": (b"", b""), "good": (b"good memo", b"fields")}
    await database.close()


async def test_a_damaged_namespace_is_reported(database: SqliteDatabase) -> None:
    flip(database.path, b"described")
    database = SqliteDatabase.open(database.path)
    with pytest.raises(DamagedNamespace, match="shop"):
        await SqliteNamespaceStore(database).by_name(NamespaceName("shop"))
    whole = [Namespace(NamespaceId(name), NamespaceName(name)) for name in ("before", "warehouse")]
    for namespace in whole:
        await SqliteNamespaceStore(database).create(namespace)
    assert (await SqliteNamespaceStore(database).changed_since(0))[1] == whole
    assert await SqliteNamespaceStore(database).list(None, 2) == whole, "a page is full if it is not the last"
    await database.close()
