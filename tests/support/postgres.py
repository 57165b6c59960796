"""A Postgres for the tests of one process, and databases on it that are empty at the start of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import asyncpg
import psutil

from perdure.infra.local.postgres import LocalPostgres
from perdure.infra.postgres import (
    PostgresClusterStore,
    PostgresDatabases,
    PostgresDeploymentStore,
    PostgresExecutionStore,
    PostgresMembershipStore,
    PostgresNamespaceStore,
    PostgresNexusEndpointStore,
    PostgresShardStore,
    PostgresTaskQueueStore,
    PostgresUsageStore,
    PostgresVisibilityStore,
)
from perdure.infra.postgres.schema import SHARD_COUNT, migrate

#: Much cheaper than new databases, and than TRUNCATE, where there are only a few rows.
_EMPTY_SHARDS = """
    DELETE FROM heads; DELETE FROM journal; DELETE FROM snapshots; DELETE FROM current_runs; DELETE FROM quarantine;
    DELETE FROM usage; DELETE FROM storage; DELETE FROM visibility; DELETE FROM search_attributes;
    UPDATE shards SET epoch = 0, owner = '' WHERE epoch > 0"""

#: Shards go back to where they were at first.
_OTHERS_GO = "DELETE FROM shards WHERE shard * $2::integer / $3::integer <> $1::integer"
_OURS_COME = """
    INSERT INTO shards (shard)
    SELECT shard FROM generate_series(0, $3::integer - 1) AS shard WHERE shard * $2::integer / $3 = $1::integer
    ON CONFLICT DO NOTHING"""
_SHARE_OUT = """
    UPDATE shard_map SET database = ($1::text[])[1 + shard * $2::integer / $3::integer]
    WHERE database <> ($1::text[])[1 + shard * $2::integer / $3::integer]"""

#: Who waits for a lock.
_BLOCKED = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND state = 'active'"""

_EMPTY_DIRECTORY = """
    DELETE FROM namespaces; DELETE FROM members; DELETE FROM moves;
    DELETE FROM nexus_endpoints; DELETE FROM task_queues; DELETE FROM worker_deployments;
    UPDATE cluster SET id = ''; UPDATE namespace_revision SET revision = 0;
    UPDATE task_queue_revision SET revision = 0; UPDATE worker_deployment_revision SET revision = 0"""


class PostgresForTests:
    """Databases of one server, made when they are first asked for. Commits do not wait for the disk."""

    def __init__(self, server: LocalPostgres) -> None:
        self.server = server
        self._made = 0
        self._reused: dict[int, dict[str, str]] = {}

    def new(self, count: int) -> dict[str, str]:
        """Names and DSNs of databases without a schema, nobody else's."""
        self._made += 1
        return {name: self.server.create_database(f"test_{self._made}_{name}") for name in _names(count)}

    async def empty(self, count: int) -> dict[str, str]:
        """Names and DSNs of migrated databases without content, which another test may have used before.

        They share the shards evenly: with two, those from 256 on are in the second.
        """
        if count not in self._reused:
            dsns = self.new(count)
            await migrate(dsns)
            self._reused[count] = dsns
        dsns = self._reused[count]
        for number, dsn in enumerate(dsns.values()):
            async with connected(dsn) as connection:
                await connection.execute(_EMPTY_SHARDS)
                await connection.execute(_OTHERS_GO, number, count, SHARD_COUNT)
                await connection.execute(_OURS_COME, number, count, SHARD_COUNT)
                if number == 0:
                    await connection.execute(_EMPTY_DIRECTORY)
                    await connection.execute(_SHARE_OUT, list(dsns), count, SHARD_COUNT)
        return dict(dsns)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def blocked(dsn: str) -> int:
    """The process of the server whose statement waits for a lock; returns when there is one."""
    async with connected(dsn) as observer:
        while (pid := await observer.fetchval(_BLOCKED)) is None:
            pass
        return int(pid)


@contextmanager
def suspended(server: LocalPostgres) -> Iterator[None]:
    """Meanwhile no process of the server does anything: whoever connects, or is connected, hears nothing."""
    first = psutil.Process(server.pid)
    first.suspend()
    processes = [first, *first.children(recursive=True)]
    for process in processes[1:]:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


@dataclass(frozen=True, slots=True)
class PostgresStores:
    databases: PostgresDatabases
    executions: PostgresExecutionStore
    shards: PostgresShardStore
    namespaces: PostgresNamespaceStore
    visibility: PostgresVisibilityStore
    usage: PostgresUsageStore
    cluster: PostgresClusterStore
    members: PostgresMembershipStore
    endpoints: PostgresNexusEndpointStore
    task_queues: PostgresTaskQueueStore
    deployments: PostgresDeploymentStore


@asynccontextmanager
async def opened(dsns: Mapping[str, str]) -> AsyncIterator[PostgresStores]:
    databases = await PostgresDatabases.open(dsns)
    try:
        yield PostgresStores(
            databases,
            PostgresExecutionStore(databases),
            PostgresShardStore(databases),
            PostgresNamespaceStore(databases),
            PostgresVisibilityStore(databases),
            PostgresUsageStore(databases),
            PostgresClusterStore(databases),
            PostgresMembershipStore(databases),
            PostgresNexusEndpointStore(databases),
            PostgresTaskQueueStore(databases),
            PostgresDeploymentStore(databases),
        )
    finally:
        await databases.close()


def _names(count: int) -> list[str]:
    return ["main", *(f"more{number}" for number in range(1, count))]
