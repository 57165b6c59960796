from __future__ import annotations

from pathlib import Path

import pytest

from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.kernel.persistence.executions import StoreUnavailable, StoreUnusable
from tests.support.disk import small_disk
from tests.support.records import SHARD, head, key, record, write


async def test_what_was_acknowledged_before_a_disk_was_full_is_there(tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    with small_disk(tmp_path, 8) as disk:
        database = SqliteDatabase.open(path)
        epochs = await SqliteShardStore(database).acquire([SHARD], "owner")
        store = SqliteExecutionStore(database)

        async def append(sequence: int) -> None:
            added = record(key(), sequence, sequence, 1, b"x" * 10_000)
            await store.write([write(journal=[added], heads=[head(key(), sequence)])], epochs)

        await append(1)
        disk.fill()
        acknowledged = 1
        with pytest.raises(StoreUnavailable) as caught:
            while True:
                await append(acknowledged + 1)
                acknowledged += 1
        assert not isinstance(caught.value, StoreUnusable)
        stored = await store.load(SHARD, key())
        assert stored is not None and stored.head.sequence == acknowledged

        disk.make_room()
        await append(acknowledged + 1)
        await database.close()
        database = SqliteDatabase.open(path)
        stored = await SqliteExecutionStore(database).load(SHARD, key())
        assert stored is not None and stored.head.sequence == acknowledged + 1
        await database.close()
