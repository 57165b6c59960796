"""`ClusterStore` on Postgres."""

from __future__ import annotations

from perdure.infra.postgres.databases import PostgresDatabases

#: Whoever comes second waits for the first, and sees what it wrote.
IDENTIFY = "UPDATE cluster SET id = coalesce(nullif(id, ''), $1) RETURNING id"


class PostgresClusterStore:
    """See `perdure.kernel.persistence.cluster.ClusterStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def identify(self, proposed: str) -> str:
        return str(await self._directory.writes.run(lambda connection: connection.fetchval(IDENTIFY, proposed)))
