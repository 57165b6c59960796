"""`DeploymentStore` on Postgres, in the directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import asyncpg
import msgspec
import structlog

from perdure.infra.postgres.databases import PostgresDatabases
from perdure.kernel.deployments.records import Deployment
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.deployments import DeploymentConflict

_log = structlog.get_logger("perdure.postgres")

#: The lock on the revision is held until the commit: who reads a revision has seen every change up to it.
_NEXT_REVISION = """
    WITH next AS (UPDATE worker_deployment_revision SET revision = revision + 1 RETURNING revision) """

INSERT = (
    _NEXT_REVISION
    + """
    INSERT INTO worker_deployments (revision, namespace_id, name, version, deleted_at_ns, checksum, record)
    SELECT revision, $1, $2, $3, $4, $5, $6 FROM next"""
)

UPDATE = (
    _NEXT_REVISION
    + """
    UPDATE worker_deployments
    SET revision = next.revision, version = $3, deleted_at_ns = $4, checksum = $5, record = $6
    FROM next WHERE namespace_id = $1 AND name = $2 AND version = $3 - 1
    RETURNING true"""
)

_RECORD = "SELECT name, checksum, record FROM worker_deployments "
FIND = _RECORD + "WHERE namespace_id = $1 AND name = $2"
LIST = _RECORD + "WHERE namespace_id = $1 ORDER BY name"

#: The revision and every change since, as of one moment; nulls where nothing has changed.
CHANGED = """
    SELECT now.revision, changed.name, changed.checksum, changed.record
    FROM worker_deployment_revision AS now LEFT JOIN worker_deployments AS changed ON changed.revision > $1
    ORDER BY changed.revision"""

FORGET = "DELETE FROM worker_deployments WHERE namespace_id = $1 AND deleted_at_ns > 0 AND deleted_at_ns < $2"


class PostgresDeploymentStore:
    """See `perdure.kernel.persistence.deployments.DeploymentStore`."""

    def __init__(self, databases: PostgresDatabases) -> None:
        self._directory = databases.directory

    async def write(self, deployment: Deployment) -> None:
        record = msgspec.msgpack.encode(deployment)
        row = (
            *(deployment.namespace_id, deployment.name, deployment.version),
            *(deployment.deleted_at_ns, crc32(record), record),
        )

        async def put(connection: asyncpg.Connection) -> None:
            if deployment.version == 1:
                try:
                    await connection.execute(INSERT, *row)
                except asyncpg.UniqueViolationError:
                    raise DeploymentConflict(f"worker deployment {deployment.name} exists") from None
            elif not await connection.fetchval(UPDATE, *row):
                raise DeploymentConflict(f"worker deployment {deployment.name} was changed by somebody else")

        await self._directory.writes.run(put)

    async def find(self, namespace_id: NamespaceId, name: str) -> Deployment | None:
        if "\0" in name:  # Which no text of Postgres has.
            return None
        found = _undamaged(await self._fetch(FIND, namespace_id, name))
        return found[0] if found else None

    async def list(self, namespace_id: NamespaceId) -> Sequence[Deployment]:
        return _undamaged(await self._fetch(LIST, namespace_id))

    async def forget(self, namespace_id: NamespaceId, before_ns: int) -> None:
        await self._directory.writes.run(lambda connection: connection.execute(FORGET, namespace_id, before_ns))

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Deployment]]:
        rows = await self._fetch(CHANGED, revision)
        return rows[0]["revision"], _undamaged(found for _, *found in rows if found[0] is not None)

    async def _fetch(self, statement: str, *parameters: Any) -> Sequence[asyncpg.Record]:
        return await self._directory.reads.run(lambda connection: connection.fetch(statement, *parameters))


def _undamaged(rows: Iterable[Sequence[Any]]) -> list[Deployment]:
    found = []
    for name, checksum, record in rows:
        if crc32(record) == checksum:
            found.append(msgspec.msgpack.decode(record, type=Deployment))
        else:
            _log.error("a worker deployment is passed over: its record is damaged", deployment=name)
    return found
