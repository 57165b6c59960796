"""`DeploymentStore` on SQLite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from zlib import crc32

import apsw
import msgspec
import structlog

from perdure.infra.sqlite.database import SqliteDatabase
from perdure.kernel.deployments.records import Deployment
from perdure.kernel.ids import NamespaceId
from perdure.kernel.persistence.deployments import DeploymentConflict

_log = structlog.get_logger("perdure.sqlite")

NEXT_REVISION = "UPDATE worker_deployment_revision SET revision = revision + 1 RETURNING revision"
REVISION = "SELECT revision FROM worker_deployment_revision"

INSERT = """
    INSERT INTO worker_deployments (revision, version, deleted_at_ns, checksum, record, namespace_id, name)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""
UPDATE = """
    UPDATE worker_deployments SET revision = ?, version = ?, deleted_at_ns = ?, checksum = ?, record = ?
    WHERE namespace_id = ? AND name = ? AND version = ?"""

_RECORD = "SELECT name, checksum, record FROM worker_deployments "
FIND = _RECORD + "WHERE namespace_id = ? AND name = ?"
LIST = _RECORD + "WHERE namespace_id = ? ORDER BY name"
CHANGED = _RECORD + "WHERE revision > ? ORDER BY revision"

FORGET = "DELETE FROM worker_deployments WHERE namespace_id = ? AND deleted_at_ns > 0 AND deleted_at_ns < ?"


class SqliteDeploymentStore:
    """See `perdure.kernel.persistence.deployments.DeploymentStore`."""

    def __init__(self, database: SqliteDatabase) -> None:
        self._database = database

    async def write(self, deployment: Deployment) -> None:
        def put(cursor: apsw.Cursor) -> None:
            revision = cursor.execute(NEXT_REVISION).get
            try:
                if deployment.version == 1:
                    cursor.execute(INSERT, (revision, *_row(deployment)))
                else:
                    cursor.execute(UPDATE, (revision, *_row(deployment), deployment.version - 1))
            except apsw.ConstraintError:
                raise DeploymentConflict(f"worker deployment {deployment.name} exists") from None
            if cursor.connection.changes() != 1:
                raise DeploymentConflict(f"worker deployment {deployment.name} was changed by somebody else")

        await self._database.transaction(put)

    async def find(self, namespace_id: NamespaceId, name: str) -> Deployment | None:
        with self._database.reading() as cursor:
            found = _undamaged(cursor.execute(FIND, (namespace_id, name)))
        return found[0] if found else None

    async def list(self, namespace_id: NamespaceId) -> Sequence[Deployment]:
        with self._database.reading() as cursor:
            return _undamaged(cursor.execute(LIST, (namespace_id,)))

    async def forget(self, namespace_id: NamespaceId, before_ns: int) -> None:
        await self._database.transaction(lambda cursor: cursor.execute(FORGET, (namespace_id, before_ns)) and None)

    async def changed_since(self, revision: int) -> tuple[int, Sequence[Deployment]]:
        with self._database.reading_consistently() as cursor:
            changed = _undamaged(cursor.execute(CHANGED, (revision,)))
            return int(cursor.execute(REVISION).get), changed


def _row(deployment: Deployment) -> tuple[int, int, int, bytes, str, str]:
    record = msgspec.msgpack.encode(deployment)
    where = deployment.namespace_id, deployment.name
    return deployment.version, deployment.deleted_at_ns, crc32(record), record, *where


def _undamaged(rows: Iterable[Sequence[Any]]) -> list[Deployment]:
    found = []
    for name, checksum, record in rows:
        if crc32(record) == checksum:
            found.append(msgspec.msgpack.decode(record, type=Deployment))
        else:
            _log.error("a worker deployment is passed over: its record is damaged", deployment=name)
    return found
