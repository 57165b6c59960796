"""The audit log's part of a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from perdure.api.data.tables import AuditChainRow, AuditRow, SinkProgressRow

_SEAL = (
    update(AuditRow.__table__)  # type: ignore[arg-type]
    .where(AuditRow.id == bindparam("sealed_id"))
    .values(number=bindparam("sealed_number"), hash=bindparam("sealed_hash"))
)


_ADD = insert(AuditRow.__table__)  # type: ignore[arg-type]


class NewRecord(NamedTuple):
    """A record, with what it is found by."""

    id: str
    account_id: str
    emitted_at_ns: int
    record: str


class Unsealed(NamedTuple):
    """A record that is in no chain yet."""

    id: str
    account_id: str
    record: str


class AuditTables:
    """Records are added in any order; they are numbered and hashed afterwards, one account at a time."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, records: Sequence[NewRecord]) -> None:
        if records:
            await self._session.execute(_ADD, [record._asdict() for record in records])

    async def between(
        self, account_id: str, from_ns: int, until_ns: int, after: tuple[int, str], limit: int
    ) -> Sequence[AuditRow]:
        """Records emitted in [from_ns, until_ns), in the order of time and id, strictly after that."""
        at_ns, record_id = max(after, (from_ns, ""))
        found = (
            select(AuditRow)
            .where(AuditRow.account_id == account_id, AuditRow.emitted_at_ns >= at_ns)
            .where(AuditRow.emitted_at_ns < until_ns)
            .where((AuditRow.emitted_at_ns > at_ns) | (AuditRow.id > record_id))
            .order_by(AuditRow.emitted_at_ns, AuditRow.id)
            .limit(limit)
        )
        return (await self._session.scalars(found)).all()

    async def unsealed(self, limit: int) -> Sequence[Unsealed]:
        """The oldest ones, of all accounts."""
        found = select(AuditRow.id, AuditRow.account_id, AuditRow.record).where(AuditRow.number.is_(None))
        rows = await self._session.execute(found.order_by(AuditRow.emitted_at_ns, AuditRow.id).limit(limit))
        return [Unsealed(*row) for row in rows]

    async def chain(self, account_id: str) -> AuditChainRow | None:
        return await self._session.get(AuditChainRow, account_id)

    async def chains(self) -> Sequence[AuditChainRow]:
        return (await self._session.scalars(select(AuditChainRow).order_by(AuditChainRow.account_id))).all()

    def begin_chain(self, chain: AuditChainRow) -> None:
        self._session.add(chain)

    async def seal(self, sealed: Sequence[tuple[str, int, bytes]]) -> None:
        """Give records, by their ids, numbers and hashes."""
        connection = await self._session.connection()
        await connection.execute(
            _SEAL,
            [
                {"sealed_id": record_id, "sealed_number": number, "sealed_hash": hash}
                for record_id, number, hash in sealed
            ],
        )

    async def sealed(self, account_id: str, after: int, limit: int) -> Sequence[AuditRow]:
        """In the order of the chain."""
        found = select(AuditRow).where(AuditRow.account_id == account_id, AuditRow.number > after)
        return (await self._session.scalars(found.order_by(AuditRow.number).limit(limit))).all()

    async def remove(self, account_id: str, up_to: int) -> None:
        """Those of the chain up to that number."""
        await self._session.execute(delete(AuditRow).where(AuditRow.account_id == account_id, AuditRow.number <= up_to))

    async def progress(self, sink_id: str) -> SinkProgressRow | None:
        return await self._session.get(SinkProgressRow, sink_id)

    def begin_progress(self, progress: SinkProgressRow) -> None:
        self._session.add(progress)

    async def end_progress(self, sink_id: str) -> None:
        await self._session.execute(delete(SinkProgressRow).where(SinkProgressRow.id == sink_id))
