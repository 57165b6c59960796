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
        for _, found in rows:
            try:
                changes.append(found if isinstance(found, Removed) else decode(found))
            except DamagedAccess as error:
                _log.error("damaged access record", error=str(error))
        return (rows[-1][0] if rows else revision), changes
