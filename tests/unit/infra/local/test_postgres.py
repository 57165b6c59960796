from __future__ import annotations

import shutil
from pathlib import Path

import asyncpg
import pytest

from perdure.infra.local import debian, postgres
from perdure.infra.local.postgres import LocalPostgres, PostgresFailed


async def count(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM kept"))
    finally:
        await connection.close()


async def test_what_was_committed_survives_a_crash_and_nothing_is_left_in_the_end() -> None:
    with LocalPostgres() as server:
        dsn = server.create_database("kept")
        connection = await asyncpg.connect(dsn)
        await connection.execute("CREATE TABLE kept (number integer); INSERT INTO kept VALUES (1)")
        server.kill()
        server.start()
        assert await count(dsn) == 1
    assert not server.directory.exists()


def test_what_it_said_last_is_told_when_it_does_not_start() -> None:
    server = LocalPostgres()
    (server.directory / "data" / "PG_VERSION").unlink()
    try:
        with pytest.raises(PostgresFailed, match=r"did not start: .*PG_VERSION"):
            server.start()
    finally:
        server.stop()


def test_a_database_that_exists_is_not_made_again() -> None:
    with LocalPostgres(durable=False) as server:
        server.create_database("one")
        with pytest.raises(PostgresFailed, match=r"createdb failed: .*already exists"):
            server.create_database("one")


def test_what_is_missing_is_named_where_it_cannot_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(debian.NotInstalled, match="initdb is not installed: install the package postgresql"):
        LocalPostgres()


def test_the_server_is_looked_for_where_debian_puts_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("9", "15", "16", "common"):
        folder = tmp_path / version / "bin"
        folder.mkdir(parents=True)
        (folder / "initdb").touch(mode=0o755)
    monkeypatch.setattr(postgres, "_DEBIAN_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", "")
    assert debian.program("initdb", "postgresql", postgres._server_folders) == str(tmp_path / "16" / "bin" / "initdb")
