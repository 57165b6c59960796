"""Stores on one SQLite file: executions, namespaces and visibility, committed together."""

from perdure.infra.sqlite.cluster import SqliteClusterStore
from perdure.infra.sqlite.database import DatabaseUnusable, SqliteDatabase
from perdure.infra.sqlite.deployments import SqliteDeploymentStore
from perdure.infra.sqlite.executions import SqliteExecutionStore
from perdure.infra.sqlite.namespaces import SqliteNamespaceStore
from perdure.infra.sqlite.nexus_endpoints import SqliteNexusEndpointStore
from perdure.infra.sqlite.shards import SqliteShardStore
from perdure.infra.sqlite.task_queues import SqliteTaskQueueStore
from perdure.infra.sqlite.usage import SqliteUsageStore
from perdure.infra.sqlite.visibility import SqliteVisibilityStore

__all__ = [
    "DatabaseUnusable",
    "SqliteClusterStore",
    "SqliteDatabase",
    "SqliteDeploymentStore",
    "SqliteExecutionStore",
    "SqliteNamespaceStore",
    "SqliteNexusEndpointStore",
    "SqliteShardStore",
    "SqliteTaskQueueStore",
    "SqliteUsageStore",
    "SqliteVisibilityStore",
]
