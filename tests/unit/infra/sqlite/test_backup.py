"""A backup of an SQLite database is a database, and is refused for what is none."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from perdure.infra.backups import BackupFailed, back_up_file, restore_file
from perdure.infra.sqlite import SqliteDatabase, SqliteExecutionStore, SqliteShardStore
from perdure.infra.sqlite.database import DatabaseUnusable
from perdure.kernel.persistence.executions import StoreError
from tests.support.records import SHARD, head, key, record, write


async def test_a_database_in_use_is_copied_and_comes_back(tmp_path: Path) -> None:
    original, file, restored = (tmp_path / name for name in ("original.db", "backup", "restored.db"))
    database = SqliteDatabase.open(original)
    epochs = await SqliteShardStore(database).acquire([SHARD], "owner")
    store = SqliteExecutionStore(database)
    await store.write([write(journal=[record(key(), 1, 1, 1)], heads=[head(key())])], epochs)
    await back_up_file(original, file)
    await store.write([write(journal=[record(key(), 2, 2, 1)], heads=[head(key(), 2)])], epochs)
    await database.close()

    await restore_file(restored, file)
    assert sorted(path.name for path in tmp_path.iterdir() if "backup" in path.name) == ["backup"]
    database = SqliteDatabase.open(restored)
    stored = await SqliteExecutionStore(database).load(SHARD, key())
    assert stored is not None and stored.head.sequence == 1
    assert await SqliteShardStore(database).acquire([SHARD], "owner") == {SHARD: epochs[SHARD] + 1}
    await database.close()


@pytest.mark.parametrize("content", [b"", b"no database at all", None])
async def test_what_is_no_database_of_ours_is_refused(tmp_path: Path, content: bytes | None) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    if content is not None:
        source.write_bytes(content)
    before = list(tmp_path.iterdir())
    with pytest.raises(DatabaseUnusable):
        await back_up_file(source, target)
    with pytest.raises(DatabaseUnusable):
        await restore_file(target, source)
    assert list(tmp_path.iterdir()) == before


async def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "source"
    with apsw.Connection(str(source)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(DatabaseUnusable, match="is not a Perdure database"):
        await back_up_file(source, tmp_path / "target")


async def test_nothing_is_written_over(tmp_path: Path) -> None:
    original, file = tmp_path / "original.db", tmp_path / "backup"
    await SqliteDatabase.open(original).close()
    file.touch()
    with pytest.raises(BackupFailed, match="exists already"):
        await back_up_file(original, file)
    with pytest.raises(BackupFailed, match="exists already"):
        await restore_file(original, file)


async def test_a_damaged_database_makes_no_backup(tmp_path: Path) -> None:
    original, file = tmp_path / "original.db", tmp_path / "backup"
    await SqliteDatabase.open(original).close()
    with original.open("r+b") as database:
        database.seek(3 * 4096)
        database.write(b"\xff" * 4096)
    with pytest.raises(StoreError):
        await back_up_file(original, file)
    assert not file.exists()
