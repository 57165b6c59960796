"""The control plane's part of a cluster's backup: its tables, as of one instant, in members of the same archive."""

from __future__ import annotations

import json
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import asyncpg

from perdure.api.data import ControlDatabase
from perdure.api.data.tables import Base
from perdure.infra.sqlite.database import DatabaseUnusable
from perdure.kernel.persistence.executions import StoreError

_FOLDER = "control-plane/"
_MANIFEST = f"{_FOLDER}manifest.json"
_TABLES = [table.name for table in Base.metadata.sorted_tables]
#: Has a row from the beginning.
_COUNTER = "access_revision"
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)


class BadControlBackup(StoreError):
    """There is nothing that can be restored here. The message is one line, for the operator."""


async def back_up(url: str, archive: zipfile.ZipFile) -> int:
    """Add the control plane to an archive, and return how many resources it has.

    Whatever was acknowledged before the call is in it.

    Raises:
        StoreError: the database cannot be read.
        OSError: the archive cannot be written.
    """
    schema = await ControlDatabase.schema(url)
    counts: dict[str, int] = {}
    async with _connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        for table in _TABLES:
            with archive.open(f"{_FOLDER}{table}", "w", force_zip64=True) as file:
                names = _columns(table)
                status = await connection.copy_from_table(table, columns=names, output=file, format="binary")
                counts[table] = int(status.rpartition(" ")[2])
    archive.writestr(_MANIFEST, json.dumps({"schema": schema, "tables": counts}, indent=1))
    return counts["resources"]


async def check(url: str, archive: zipfile.ZipFile) -> None:
    """Whether `restore` can do it, as far as can be seen before.

    Raises:
        BadControlBackup: there is no control plane in the archive, or one of another schema; or the database is not
            empty.
        StoreError: the database cannot be used.
    """
    if _MANIFEST not in archive.namelist():
        raise BadControlBackup("the backup has no control plane: restore it without control_plane.database")
    wanted = json.loads(archive.read(_MANIFEST))["schema"]
    if await ControlDatabase.schema(url) != wanted:
        raise BadControlBackup(
            f"the control plane in the backup has schema {wanted}: restore it with the Perdure that made it, into a "
            "database that this one has migrated, then migrate"
        )
    async with _connected(url) as connection:
        for table in _TABLES:
            if table != _COUNTER and await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                raise BadControlBackup("the control plane's database is not empty: make a new one, and migrate it")


async def restore(url: str, archive: zipfile.ZipFile) -> int:
    """Fill the database, which was checked, and return how many resources there were. All or nothing.

    Raises:
        BadControlBackup: the backup is damaged.
        StoreError: the database cannot be used.
    """
    counts: dict[str, int] = json.loads(archive.read(_MANIFEST))["tables"]
    async with _connected(url) as connection, connection.transaction():
        await connection.execute(f"DELETE FROM {_COUNTER}")
        for table in _TABLES:
            with archive.open(f"{_FOLDER}{table}") as file:
                status = await connection.copy_to_table(table, columns=_columns(table), source=file, format="binary")
            if (count := int(status.rpartition(" ")[2])) != counts[table]:
                raise BadControlBackup(f"the backup is damaged: {table} has {count} rows instead of {counts[table]}")
    return counts["resources"]


def refuse_other(path: Path) -> None:
    """Look whether an SQLite file is a control plane's.

    Raises:
        DatabaseUnusable: it is not.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    finally:
        connection.close()
    if not tables >= set(_TABLES):
        raise DatabaseUnusable(f"{path} is not a control plane's database")


def _columns(table: str) -> list[str]:
    return [column.name for column in Base.metadata.tables[table].columns]


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    try:
        connection = await asyncpg.connect(url, server_settings={"application_name": "perdure admin"})
        try:
            yield connection
        finally:
            await connection.close()
    except _FAILURES as error:
        raise StoreError(f"the control plane's database cannot be used: {error}") from error
