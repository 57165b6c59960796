"""Stores on one or more Postgres databases, which share the shards among them."""

from perdure.infra.postgres.cluster import PostgresClusterStore
from perdure.infra.postgres.databases import PostgresDatabases
from perdure.infra.postgres.deployments import PostgresDeploymentStore
from perdure.infra.postgres.executions import PostgresExecutionStore
from perdure.infra.postgres.membership import PostgresMembershipStore
from perdure.infra.postgres.namespaces import PostgresNamespaceStore
from perdure.infra.postgres.nexus_endpoints import PostgresNexusEndpointStore
from perdure.infra.postgres.schema import BadDatabases
from perdure.infra.postgres.shards import PostgresShardStore
from perdure.infra.postgres.task_queues import PostgresTaskQueueStore
from perdure.infra.postgres.usage import PostgresUsageStore
from perdure.infra.postgres.visibility import PostgresVisibilityStore

__all__ = [
    "BadDatabases",
    "PostgresClusterStore",
    "PostgresDatabases",
    "PostgresDeploymentStore",
    "PostgresExecutionStore",
    "PostgresMembershipStore",
    "PostgresNamespaceStore",
    "PostgresNexusEndpointStore",
    "PostgresShardStore",
    "PostgresTaskQueueStore",
    "PostgresUsageStore",
    "PostgresVisibilityStore",
]
