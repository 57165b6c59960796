"""Every store driver under the same tests: add a driver here and it has to pass them all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from perdure.infra.sqlite import (
    SqliteClusterStore,
    SqliteDatabase,
    SqliteDeploymentStore,
    SqliteExecutionStore,
    SqliteNamespaceStore,
    SqliteNexusEndpointStore,
    SqliteShardStore,
    SqliteTaskQueueStore,
    SqliteUsageStore,
    SqliteVisibilityStore,
)
from perdure.kernel.ids import ShardId
from perdure.kernel.persistence.cluster import ClusterStore
from perdure.kernel.persistence.deployments import DeploymentStore
from perdure.kernel.persistence.executions import ExecutionStore
from perdure.kernel.persistence.membership import MembershipStore
from perdure.kernel.persistence.namespaces import NamespaceStore
from perdure.kernel.persistence.nexus_endpoints import NexusEndpointStore
from perdure.kernel.persistence.shards import ShardStore
from perdure.kernel.persistence.task_queues import TaskQueueStore
from perdure.kernel.persistence.usage import UsageStore
from perdure.kernel.persistence.visibility import VisibilityStore
from tests.support.postgres import PostgresForTests, opened

#: Takes a shard and returns the new epoch.
Acquire = Callable[[ShardId], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Stores:
    executions: ExecutionStore
    shards: ShardStore
    namespaces: NamespaceStore
    visibility: VisibilityStore
    cluster: ClusterStore
    usage: UsageStore
    endpoints: NexusEndpointStore
    task_queues: TaskQueueStore
    deployments: DeploymentStore


def _on(database: SqliteDatabase) -> Stores:
    return Stores(
        SqliteExecutionStore(database),
        SqliteShardStore(database),
        SqliteNamespaceStore(database),
        SqliteVisibilityStore(database),
        SqliteClusterStore(database),
        SqliteUsageStore(database),
        SqliteNexusEndpointStore(database),
        SqliteTaskQueueStore(database),
        SqliteDeploymentStore(database),
    )


@asynccontextmanager
async def sqlite_file(directory: Path) -> AsyncIterator[Stores]:
    database = SqliteDatabase.open(directory / "perdure.db")
    yield _on(database)
    await database.close()


@asynccontextmanager
async def sqlite_ephemeral(directory: Path) -> AsyncIterator[Stores]:
    database = SqliteDatabase.open(None)
    yield _on(database)
    await database.close()


EMBEDDED: list[Callable[[Path], AbstractAsyncContextManager[Stores]]] = [sqlite_file, sqlite_ephemeral]

#: Postgres by its number of databases.
CLUSTERED = {"postgres": 1, "two_postgres": 2}


@pytest.fixture(params=[*(driver.__name__ for driver in EMBEDDED), *CLUSTERED])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stores]:
    for driver in EMBEDDED:
        if driver.__name__ == request.param:
            async with driver(tmp_path) as embedded:
                yield embedded
            return
    # Asked for by name, because a session without such tests should not start it.
    postgres: PostgresForTests = request.getfixturevalue("postgres")
    async with opened(await postgres.empty(CLUSTERED[request.param])) as on:
        yield Stores(
            on.executions,
            on.shards,
            on.namespaces,
            on.visibility,
            on.cluster,
            on.usage,
            on.endpoints,
            on.task_queues,
            on.deployments,
        )


@pytest.fixture(params=list(CLUSTERED.values()), ids=list(CLUSTERED))
async def members(request: pytest.FixtureRequest, postgres: PostgresForTests) -> AsyncIterator[MembershipStore]:
    async with opened(await postgres.empty(request.param)) as on:
        yield on.members


@pytest.fixture
def executions(stores: Stores) -> ExecutionStore:
    return stores.executions


@pytest.fixture
def namespaces(stores: Stores) -> NamespaceStore:
    return stores.namespaces


@pytest.fixture
def endpoints(stores: Stores) -> NexusEndpointStore:
    return stores.endpoints


@pytest.fixture
def deployments(stores: Stores) -> DeploymentStore:
    return stores.deployments


@pytest.fixture
def cluster(stores: Stores) -> ClusterStore:
    return stores.cluster


@pytest.fixture
def visibility(stores: Stores) -> VisibilityStore:
    return stores.visibility


@pytest.fixture
def usage(stores: Stores) -> UsageStore:
    return stores.usage


@pytest.fixture
def task_queues(stores: Stores) -> TaskQueueStore:
    return stores.task_queues


@pytest.fixture
def shards(stores: Stores) -> ShardStore:
    return stores.shards


@pytest.fixture
def acquire(stores: Stores) -> Acquire:
    async def take(shard: ShardId) -> int:
        return (await stores.shards.acquire([shard], "owner"))[shard]

    return take
