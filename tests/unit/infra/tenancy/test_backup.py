"""The control plane's part of a backup: whole or not at all, and only where it belongs."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from perdure.api.data import ControlDatabase
from perdure.api.resources import kinds
from perdure.infra.backups import back_up_file, beside, restore_file
from perdure.infra.options import CONTROL_PLANE_FILE
from perdure.infra.sqlite import SqliteDatabase
from perdure.infra.tenancy import accounts, backup
from perdure.infra.tenancy.backup import BadControlBackup
from perdure.kernel.persistence.executions import StoreError
from tests.support.control_plane import control_bench
from tests.support.postgres import PostgresForTests


@pytest.fixture
def urls(postgres: PostgresForTests) -> tuple[str, str]:
    """Of two databases without anything."""
    return tuple(postgres.new(2).values())  # type: ignore[return-value]


async def _users(url: str) -> list[str]:
    database = await ControlDatabase.open(url)
    async with database.reading() as transaction:
        found = [row.name for row in await transaction.of_kind(kinds.USER, "", 100)]
    await database.aclose()
    return found


async def test_a_control_plane_comes_back(tmp_path: Path, urls: tuple[str, str]) -> None:
    original, new = urls
    for url in urls:
        await accounts.migrate(url)
    await accounts.create(original, "owner@example.com", 9)
    with zipfile.ZipFile(tmp_path / "backup", "w") as archive:
        count = await backup.back_up(original, archive)
    with zipfile.ZipFile(tmp_path / "backup") as archive:
        await backup.check(new, archive)
        assert await backup.restore(new, archive) == count
        assert await _users(new) == await _users(original) != []
        # Nothing is put on top of anything.
        with pytest.raises(BadControlBackup, match="not empty"):
            await backup.check(new, archive)
    # What is published from now on comes after what was.
    await accounts.create(new, "another@example.com", 9)
    database = await ControlDatabase.open(new)
    async with database.reading() as transaction:
        revisions = [change.revision for change in await transaction.changed_since(0, 100)]
    await database.aclose()
    assert len(revisions) == len(set(revisions)) == 6


async def test_it_needs_its_schema_and_its_file(tmp_path: Path, urls: tuple[str, str]) -> None:
    original, new = urls
    await accounts.migrate(original)
    with zipfile.ZipFile(tmp_path / "backup", "w") as archive:
        await backup.back_up(original, archive)
    with zipfile.ZipFile(tmp_path / "backup") as archive, pytest.raises(BadControlBackup, match="schema"):
        await backup.check(new, archive)
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("manifest.json", "{}")
    with zipfile.ZipFile(tmp_path / "other") as archive, pytest.raises(BadControlBackup, match="no control plane"):
        await backup.check(original, archive)


async def test_a_file_is_backed_up_beside_the_data(tmp_path: Path) -> None:
    data, file = tmp_path / "perdure.db", tmp_path / "backup"
    await SqliteDatabase.open(data).close()
    (tmp_path / "secure").mkdir()
    async with control_bench(f"sqlite:///{tmp_path / 'secure' / CONTROL_PLANE_FILE}") as bench:
        owner = await bench.account()
        await back_up_file(data, file, tmp_path / "secure")
    assert beside(file).exists()
    await restore_file(tmp_path / "new.db", file, tmp_path / "new")
    async with control_bench(f"sqlite:///{tmp_path / 'new' / CONTROL_PLANE_FILE}") as bench:
        assert (await bench.call(owner.token, "GetCurrentIdentity", {})).user.id == owner.user_id
    with pytest.raises(StoreError, match="exists already"):
        await restore_file(tmp_path / "new2.db", file, tmp_path / "new")
    assert not (tmp_path / "new2.db").exists()
    # The data is no control plane.
    (tmp_path / "wrong").mkdir()
    await restore_file(tmp_path / "wrong" / CONTROL_PLANE_FILE, file)
    with pytest.raises(StoreError, match="is not a control plane's database"):
        await back_up_file(data, tmp_path / "backup2", tmp_path / "wrong")
