"""What gateways read of the control plane's database."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from perdure.api.data.database import ControlDatabase
from perdure.auth.access.records import AccessRecord, DamagedAccess, Removed, decode

_log = structlog.get_logger("perdure.api")


class PublishedAccess:
    """See `perdure.auth.access.records.AccessStore`."""

    def __init__(self, database: ControlDatabase) -> None:
        self._database = database

    async def changed_since(self, revision: int, limit: int) -> tuple[int, Sequence[AccessRecord | Removed]]:
        async with self._database.reading() as transaction:
            rows = await transaction.changed_since(revision, limit)
        changes: list[AccessRecord | Removed] = []
        for _, kind, record_id, record in rows:
            try:
                changes.append(Removed(kind, record_id) if record is None else decode(record))
            except DamagedAccess as error:
                # It may have said less than the one before, which must not stay.
                changes.append(Removed(kind, record_id))
                _log.error("damaged access record", kind=kind, id=record_id, error=str(error))
        return (rows[-1][0] if rows else revision), changes
