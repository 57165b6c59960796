"""The schema of the databases: what a server needs to find, and how an administrator brings it about.

Migrations are numbered files of SQL, those of the directory for the first database, those of the shards for every
database. Each runs in a transaction of its own that also notes its number.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from importlib.resources.abc import Traversable

import asyncpg

from perdure.infra.postgres.failures import FAILURES, store_error
from perdure.kernel.persistence.executions import StoreUnusable

DIRECTORY = "directory"
SHARDS = "shards"
SHARD_COUNT = 512

#: Where there are rows of shards, in the databases that hold them.
SHARD_TABLES = (
    *("heads", "journal", "snapshots", "current_runs", "quarantine"),
    *("usage", "storage", "visibility", "search_attributes"),
)

#: Tables of the directory that are the tenants' own, each with the one that counts its changes, if there is one.
DIRECTORY_TABLES = {
    "namespaces": "namespace_revision",
    "nexus_endpoints": None,
    "task_queues": "task_queue_revision",
    "worker_deployments": "worker_deployment_revision",
}

#: Held while a database is being migrated. "PRDR".
_LOCK = 0x50524452

_VERSIONS_EXIST = "SELECT to_regclass('schema_versions') IS NOT NULL"

_CREATE_VERSIONS = """
    CREATE TABLE IF NOT EXISTS schema_versions (part text PRIMARY KEY, version integer NOT NULL)"""

_NOTE_VERSION = """
    INSERT INTO schema_versions (part, version) VALUES ($1, $2)
    ON CONFLICT (part) DO UPDATE SET version = excluded.version"""

_FOREIGN_TABLES = """
    SELECT count(*) FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname <> 'schema_versions'"""


class BadDatabases(StoreUnusable):
    """The databases are not what they are said to be. The message is one line, for the operator."""


def known() -> dict[str, int]:
    """The version of each part of the schema that this version of Perdure works with."""
    return {part: len(_migrations(part)) for part in (DIRECTORY, SHARDS)}


async def check(connection: asyncpg.Connection, name: str, *parts: str) -> None:
    """Raises StoreUnusable if a part of the schema is not the one that this version knows."""
    found = await _versions(connection)
    for part in parts:
        known, version = len(_migrations(part)), found.get(part, 0)
        if version > known:
            raise StoreUnusable(
                f"database {name} was migrated by a newer Perdure ({part} schema {version}, this one knows {known})"
            )
        if version < known:
            raise StoreUnusable(
                f"database {name} has {part} schema {version} of {known}: run `perdure admin migrate` first"
            )


async def migrate(dsns: Mapping[str, str], shard_count: int = SHARD_COUNT, *, exactly: bool = False) -> list[str]:
    """Bring all databases up to date, the first of which is the directory, and say what was done.

    May be run again, and by several at once. What is there keeps its number of shards and its map of them; of a new
    cluster the shards are shared out among the databases.

    Raises:
        BadDatabases: a database is not empty but not ours, or belongs to another cluster or under another name; or
            the cluster has another number of shards, and `exactly` that number is wanted.
        StoreUnavailable, StoreUnusable: a database cannot be reached, or refuses.
    """
    done: list[str] = []
    connections: dict[str, asyncpg.Connection] = {}
    directory = next(iter(dsns))
    try:
        for name, dsn in dsns.items():
            try:
                connections[name] = connection = await asyncpg.connect(dsn)
                await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
                parts = (DIRECTORY, SHARDS) if name == directory else (SHARDS,)
                for part in parts:
                    done += [f"{name}: {file}" for file in await _migrate(connection, name, part)]
            except FAILURES as error:
                raise store_error(name, error) from error
        try:
            mark = await _found_cluster(connections[directory], list(dsns), shard_count)
            there = await connections[directory].fetchval("SELECT shard_count FROM cluster")
            if exactly and there != shard_count:
                raise BadDatabases(f"the cluster has {there} shards for ever: {shard_count} needs a new one")
            for name, connection in connections.items():
                await _claim(connection, name, mark)
                held = await connections[directory].fetch("SELECT shard FROM shard_map WHERE database = $1", name)
                await connection.execute(
                    "INSERT INTO shards (shard) SELECT unnest($1::integer[]) ON CONFLICT DO NOTHING",
                    [row[0] for row in held],
                )
        except FAILURES as error:
            raise store_error(directory, error) from error
    finally:
        for connection in connections.values():
            connection.terminate()
    return done


async def _migrate(connection: asyncpg.Connection, name: str, part: str) -> list[str]:
    versions = await _versions(connection)
    if not versions and await connection.fetchval(_FOREIGN_TABLES):
        raise BadDatabases(f"database {name} has tables that are not Perdure's: name an empty one")
    migrations = _migrations(part)
    version = versions.get(part, 0)
    if version > len(migrations):
        await check(connection, name, part)
    for number, migration in enumerate(migrations[version:], start=version + 1):
        async with connection.transaction():
            await connection.execute(_CREATE_VERSIONS)
            await connection.execute(migration.read_text(encoding="utf-8"))
            await connection.execute(_NOTE_VERSION, part, number)
    return [f"{part}/{migration.name}" for migration in migrations[version:]]


async def _found_cluster(directory: asyncpg.Connection, names: list[str], shard_count: int) -> object:
    """Make the cluster's rows where they are missing, and return its mark."""
    async with directory.transaction():
        founded = await directory.fetchval(
            "INSERT INTO cluster (shard_count) VALUES ($1) ON CONFLICT DO NOTHING RETURNING true", shard_count
        )
        await directory.execute("INSERT INTO databases (name) SELECT unnest($1::text[]) ON CONFLICT DO NOTHING", names)
        if founded:
            # Neighbouring shards stay together, so that ranges of them are easy to name.
            await directory.execute(
                """
                INSERT INTO shard_map (shard, database)
                SELECT shard, ($1::text[])[1 + shard * cardinality($1::text[]) / $2::integer]
                FROM generate_series(0, $2::integer - 1) AS shard""",
                names,
                shard_count,
            )
        return await directory.fetchval("SELECT mark FROM cluster")


async def _claim(connection: asyncpg.Connection, name: str, mark: object) -> None:
    await connection.execute("INSERT INTO origin (mark, name) VALUES ($1, $2) ON CONFLICT DO NOTHING", mark, name)
    await check_origin(connection, name, mark)


async def check_origin(connection: asyncpg.Connection, name: str, mark: object) -> None:
    """Raises BadDatabases if the database belongs to another cluster, or to this one by another name."""
    origin = await connection.fetchrow("SELECT mark, name FROM origin")
    if origin is None or origin["mark"] != mark:
        raise BadDatabases(f"database {name} does not belong to the cluster of the first database")
    if origin["name"] != name:
        raise BadDatabases(f"database {name} is called {origin['name']} in its cluster: the addresses are mixed up")


async def _versions(connection: asyncpg.Connection) -> dict[str, int]:
    if not await connection.fetchval(_VERSIONS_EXIST):
        return {}
    return dict(await connection.fetch("SELECT part, version FROM schema_versions"))


def _migrations(part: str) -> list[Traversable]:
    folder = resources.files(__package__).joinpath("migrations", part)
    return sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name)
