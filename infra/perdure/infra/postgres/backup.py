"""A backup of a whole cluster in one file, taken while it runs, and the way back.

All databases are copied as of one instant: writes to all of them wait, for some milliseconds, until each has given us a
snapshot. So a workflow and the child that it started are both in the backup, or neither is, wherever they are.

The archive is a ZIP: `manifest.json`, and members in the format of COPY BINARY: one per table of the directory, and one
per shard and table that has rows. Shards are apart so that they can go back to other databases than they came from, as
the map there says.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg

from perdure.infra.postgres import schema
from perdure.infra.postgres.maintenance import Maintenance
from perdure.infra.postgres.schema import DIRECTORY_TABLES, SHARD_TABLES, BadDatabases

FORMAT = 2
_MANIFEST = "manifest.json"
#: How long writes may wait for the slowest database to hold still, and how often that is tried.
_STILL_S_MAX = 1
_ATTEMPTS_MAX = 10

_CLUSTER = "SELECT id AS cluster_id, mark::text, shard_count, now()::text AS taken_at FROM cluster"


class BadBackup(BadDatabases):
    """The file is no backup that can be restored here. The message is one line, for the operator."""


async def back_up(at: Maintenance, archive: zipfile.ZipFile) -> int:
    """Write a backup into an empty archive, and return how many runs are in it.

    Whatever was acknowledged before the call is in it.

    Raises:
        OSError: the archive cannot be written.
    """
    async with _snapshots(at):
        return await _write(at, archive)


async def _write(at: Maintenance, archive: zipfile.ZipFile) -> int:
    manifest = {"format": FORMAT, "schema": schema.known(), **dict(await at.directory.fetchrow(_CLUSTER))}
    manifest["directory"] = {table: await _export_whole(at.directory, archive, table) for table in DIRECTORY_TABLES}
    held = await at.shard_map()
    shards: dict[str, Any] = {}
    for name, connection in at.connections.items():
        here = [shard for shard, database in held.items() if database == name]
        epochs = await connection.fetch("SELECT shard, epoch FROM shards WHERE shard = ANY ($1)", here)
        shards |= {str(shard): {"epoch": epoch, "rows": {}} for shard, epoch in epochs}
        for table in SHARD_TABLES:
            filled = await connection.fetch(f"SELECT DISTINCT shard FROM {table} WHERE shard = ANY ($1)", here)
            for (shard,) in filled:
                rows = f"SELECT * FROM {table} WHERE shard = {int(shard)}"
                count = await _export(connection, rows, archive, _member(shard, table))
                shards[str(shard)]["rows"][table] = count
    if missing := held.keys() - {int(shard) for shard in shards}:
        raise BadDatabases(f"no database holds shard {min(missing)}")
    archive.writestr(_MANIFEST, json.dumps({**manifest, "shards": shards}, indent=1))
    return _runs(shards)


async def restore(at: Maintenance, archive: zipfile.ZipFile) -> int:
    """Fill the migrated, empty databases of a cluster from a backup, and return how many runs there were.

    All or nothing, but for a failure in the last moment, while the databases commit one after the other. Then some are
    not empty any more, which a repetition refuses.

    Raises:
        BadBackup: the archive is not a whole backup, or of another schema; or the cluster is not empty, or of another
            size.
        OSError: the archive cannot be read.
    """
    try:
        manifest = json.loads(archive.read(_MANIFEST))
        await _check(at, manifest)
        async with AsyncExitStack() as stack:
            # Those that were entered first are committed last.
            await stack.enter_async_context(at.directory.transaction())
            for name, connection in at.connections.items():
                if name != at.directory_name:
                    await stack.enter_async_context(connection.transaction())
            await _restore_directory(at, archive, manifest)
            for shard, database in (await at.shard_map()).items():
                await _restore_shard(at.connections[database], archive, shard, manifest["shards"][str(shard)])
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, EOFError) as error:
        raise BadBackup(f"the backup is damaged: {error}") from error
    return _runs(manifest["shards"])


async def _check(at: Maintenance, manifest: Mapping[str, Any]) -> None:
    if manifest["format"] != FORMAT or manifest["schema"] != schema.known():
        raise BadBackup("the backup was made by a Perdure with another schema: restore it with that one, then migrate")
    shard_count = await at.directory.fetchval("SELECT shard_count FROM cluster")
    if shard_count != manifest["shard_count"]:
        raise BadBackup(f"the cluster has {shard_count} shards, the backup has {manifest['shard_count']}")
    if await at.directory.fetchval("SELECT EXISTS (SELECT FROM members WHERE alive_until > clock_timestamp())"):
        raise BadBackup("the cluster is running: stop its processes first")
    not_empty = BadBackup("the databases are not empty: make new ones, and run `perdure admin migrate` on them")
    if await at.directory.fetchval("SELECT EXISTS (SELECT FROM namespaces)"):
        raise not_empty
    for connection in at.connections.values():
        for table in SHARD_TABLES:
            if await connection.fetchval(f"SELECT EXISTS (SELECT FROM {table})"):
                raise not_empty


async def _restore_directory(at: Maintenance, archive: zipfile.ZipFile, manifest: Mapping[str, Any]) -> None:
    await at.directory.execute("UPDATE cluster SET id = $1", manifest["cluster_id"])
    for table, counter in DIRECTORY_TABLES.items():
        content = manifest["directory"][table]
        await _import(at.directory, archive, table, table, content["rows"])
        if counter is not None:
            await at.directory.execute(f"UPDATE {counter} SET revision = $1", content["revision"])


async def _restore_shard(
    connection: asyncpg.Connection, archive: zipfile.ZipFile, shard: int, content: Mapping[str, Any]
) -> None:
    # With the epoch that it had: who owned it then cannot take the copy for the original.
    await connection.execute("UPDATE shards SET epoch = $2, owner = '' WHERE shard = $1", shard, content["epoch"])
    for table, count in content["rows"].items():
        if table not in SHARD_TABLES:
            raise ValueError(f"it has a table {table}")
        await _import(connection, archive, _member(shard, table), table, count)


def _runs(shards: Mapping[str, Any]) -> int:
    return sum(each["rows"].get("heads", 0) for each in shards.values())


def _member(shard: int, table: str) -> str:
    return f"shards/{shard}/{table}"


async def _export_whole(directory: asyncpg.Connection, archive: zipfile.ZipFile, table: str) -> dict[str, int]:
    """A table of the directory: how many rows, and of which revision."""
    content = {"rows": await _export(directory, f"SELECT * FROM {table}", archive, table)}
    if (counter := DIRECTORY_TABLES[table]) is not None:
        content["revision"] = await directory.fetchval(f"SELECT revision FROM {counter}")
    return content


async def _export(connection: asyncpg.Connection, query: str, archive: zipfile.ZipFile, member: str) -> int:
    """Returns the number of rows."""
    with archive.open(member, "w", force_zip64=True) as file:
        return _count(await connection.copy_from_query(query, output=file, format="binary"))


async def _import(
    connection: asyncpg.Connection, archive: zipfile.ZipFile, member: str, table: str, expected: int
) -> None:
    with archive.open(member) as file:
        count = _count(await connection.copy_to_table(table, source=file, format="binary"))
    if count != expected:
        raise ValueError(f"{member} has {count} rows instead of {expected}")


def _count(status: str) -> int:
    """The number in `COPY 17`."""
    return int(status.rpartition(" ")[2])


@asynccontextmanager
async def _snapshots(at: Maintenance) -> AsyncIterator[None]:
    """A transaction in every database, all of them as of the same instant."""
    async with AsyncExitStack() as stack:
        holding = []
        for dsn in at.dsns.values():
            connection = await asyncpg.connect(dsn, server_settings={"lock_timeout": f"{_STILL_S_MAX}s"})
            stack.callback(connection.terminate)
            holding.append(connection)
        async with _held_still(holding):
            for connection in at.connections.values():
                await stack.enter_async_context(connection.transaction(isolation="repeatable_read", readonly=True))
                await connection.execute("SELECT FROM shards LIMIT 1")  # That is when the snapshot is made.
        yield


@asynccontextmanager
async def _held_still(connections: Sequence[asyncpg.Connection]) -> AsyncIterator[None]:
    """No write to a shard, in any of the databases, is under way within this block."""
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        async with AsyncExitStack() as stack:
            for connection in connections:
                await stack.enter_async_context(connection.transaction())
            try:
                for connection in connections:
                    # Every commit locks rows of this table.
                    await connection.execute("LOCK TABLE shards IN EXCLUSIVE MODE")
            except asyncpg.LockNotAvailableError:
                if attempt == _ATTEMPTS_MAX:
                    raise
                continue
            yield
            return
