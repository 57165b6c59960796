"""What can be asked of the control plane's database, and written to it, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from perdure.api.data.audit import AuditTables
from perdure.api.data.federation import FederationData
from perdure.api.data.people import PeopleData
from perdure.api.data.tables import (
    AccessRevisionRow,
    AccessRow,
    BillingFileRow,
    MemberRow,
    NoticeRow,
    OperationRow,
    ResourceRow,
)
from perdure.auth.access.records import AccessRecord, decode, encode, id_of, kind_of

_SOLE = 1


class PublishedChange(NamedTuple):
    """Of an access record; None if there is none any more."""

    revision: int
    kind: str
    id: str
    record: bytes | None


class Transaction:
    """Rows that are read here may be changed; that is written when the transaction ends."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self.people = PeopleData(session)
        self._published: dict[tuple[str, str], bytes | None] = {}
        self.audit = AuditTables(session)
        self.federation = FederationData(session)

    # Resources

    def add(self, row: ResourceRow | MemberRow | OperationRow) -> None:
        self._session.add(row)

    async def remove(self, row: ResourceRow | MemberRow) -> None:
        await self._session.delete(row)

    async def resource(self, kind: str, resource_id: str) -> ResourceRow | None:
        return await self._session.get(ResourceRow, (kind, resource_id))

    async def named(self, account_id: str, kind: str, name: str) -> ResourceRow | None:
        await self._session.flush()
        found = select(ResourceRow).where(
            ResourceRow.account_id == account_id, ResourceRow.kind == kind, ResourceRow.name == name
        )
        return (await self._session.scalars(found)).one_or_none()

    async def resources(
        self, account_id: str, kind: str, *, after: str = "", limit: int | None = None, owner_id: str | None = None
    ) -> Sequence[ResourceRow]:
        """Those of an account, in the order of their names, strictly after the cursor."""
        await self._session.flush()
        found = (
            select(ResourceRow)
            .where(ResourceRow.account_id == account_id, ResourceRow.kind == kind, ResourceRow.name > after)
            .order_by(ResourceRow.name)
            .limit(limit)
        )
        if owner_id is not None:
            found = found.where(ResourceRow.owner_id == owner_id)
        return (await self._session.scalars(found)).all()

    async def resources_by_id(self, kind: str, ids: Sequence[str]) -> Sequence[ResourceRow]:
        """Those that there are. As long as they are held, `resource` finds them without asking."""
        await self._session.flush()
        found = select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.id.in_(ids))
        return (await self._session.scalars(found.order_by(ResourceRow.id))).all()

    async def everywhere(self, kind: str, name: str) -> Sequence[ResourceRow]:
        """Those of this name in any account."""
        await self._session.flush()
        found = select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.name == name)
        return (await self._session.scalars(found)).all()

    async def of_kind(self, kind: str, after: str, limit: int) -> Sequence[ResourceRow]:
        """Those of all accounts, in the order of their ids, strictly after the cursor."""
        found = select(ResourceRow).where(ResourceRow.kind == kind, ResourceRow.id > after)
        return (await self._session.scalars(found.order_by(ResourceRow.id).limit(limit))).all()

    async def count(self, account_id: str, kind: str, owner_id: str | None = None) -> int:
        await self._session.flush()
        found = select(func.count()).where(ResourceRow.account_id == account_id, ResourceRow.kind == kind)
        if owner_id is not None:
            found = found.where(ResourceRow.owner_id == owner_id)
        return (await self._session.execute(found)).scalar_one()

    async def ended(self, kind: str, state: int, before_ns: int, limit: int) -> Sequence[ResourceRow]:
        """Those that have been in a state since some time."""
        await self._session.flush()
        found = select(ResourceRow).where(
            ResourceRow.kind == kind, ResourceRow.state == state, ResourceRow.modified_at_ns <= before_ns
        )
        return (await self._session.scalars(found.limit(limit))).all()

    async def of_account(self, account_id: str) -> Sequence[ResourceRow]:
        """All that an account has."""
        await self._session.flush()
        return (await self._session.scalars(select(ResourceRow).where(ResourceRow.account_id == account_id))).all()

    # Groups

    async def member(self, group_id: str, user_id: str) -> MemberRow | None:
        return await self._session.get(MemberRow, (group_id, user_id))

    async def members(self, group_id: str, after: str = "", limit: int | None = None) -> Sequence[MemberRow]:
        await self._session.flush()
        found = select(MemberRow).where(MemberRow.group_id == group_id, MemberRow.user_id > after)
        return (await self._session.scalars(found.order_by(MemberRow.user_id).limit(limit))).all()

    async def members_of(self, group_ids: Sequence[str]) -> Sequence[MemberRow]:
        """Of each of these groups, in the order of users' ids."""
        await self._session.flush()
        found = select(MemberRow).where(MemberRow.group_id.in_(group_ids))
        return (await self._session.scalars(found.order_by(MemberRow.user_id))).all()

    async def groups_of(self, user_id: str) -> Sequence[str]:
        await self._session.flush()
        return (await self._session.scalars(select(MemberRow.group_id).where(MemberRow.user_id == user_id))).all()

    async def memberships(self, user_ids: Sequence[str]) -> Sequence[MemberRow]:
        """In which groups they are."""
        await self._session.flush()
        return (await self._session.scalars(select(MemberRow).where(MemberRow.user_id.in_(user_ids)))).all()

    async def leave_groups(self, user_id: str) -> None:
        await self._session.flush()
        await self._session.execute(delete(MemberRow).where(MemberRow.user_id == user_id))

    # Operations

    async def operation(self, account_id: str, operation_id: str) -> OperationRow | None:
        return await self._session.get(OperationRow, (account_id, operation_id))

    async def forget_operations(self, account_id: str) -> None:
        await self._session.flush()
        await self._session.execute(delete(OperationRow).where(OperationRow.account_id == account_id))

    async def unfinished(self, states: Sequence[int], now_ns: int, limit: int) -> Sequence[OperationRow]:
        """Those that nobody has in his hands, the oldest first."""
        await self._session.flush()
        found = (
            select(OperationRow)
            .where(OperationRow.state.in_(states), OperationRow.claimed_until_ns <= now_ns)
            .order_by(OperationRow.started_at_ns)
            .limit(limit)
        )
        return (await self._session.scalars(found)).all()

    async def pending(self, states: Sequence[int]) -> tuple[int, int]:
        """How many there are of all accounts, and when the oldest began."""
        found = select(func.count(), func.min(OperationRow.started_at_ns)).where(OperationRow.state.in_(states))
        count, since_ns = (await self._session.execute(found)).one()
        return count, since_ns or 0

    async def count_finished(self, state: int, since_ns: int) -> int:
        """How many, of all accounts, have ended so since then."""
        found = select(func.count()).where(OperationRow.state == state, OperationRow.finished_at_ns >= since_ns)
        return (await self._session.execute(found)).scalar_one()

    async def count_operations(self, account_id: str, states: Sequence[int]) -> int:
        await self._session.flush()
        found = select(func.count()).where(OperationRow.account_id == account_id, OperationRow.state.in_(states))
        return (await self._session.execute(found)).scalar_one()

    # Billing reports

    async def put_billing_file(self, row: BillingFileRow) -> None:
        await self._session.merge(row)

    async def billing_file(self, report_id: str) -> BillingFileRow | None:
        return await self._session.get(BillingFileRow, report_id)

    async def remove_billing_file(self, report_id: str) -> None:
        await self._session.execute(delete(BillingFileRow).where(BillingFileRow.id == report_id))

    # Warnings

    async def note(self, row: NoticeRow) -> bool:
        """Whether it was not noted before."""
        if await self.noted(row.id):
            return False
        self._session.add(row)
        return True

    async def noted(self, notice_id: str) -> bool:
        return await self._session.get(NoticeRow, notice_id) is not None

    async def forget_notices(self, now_ns: int) -> None:
        await self._session.execute(delete(NoticeRow).where(NoticeRow.forget_at_ns <= now_ns))

    # What gateways are told

    def publish(self, record: AccessRecord) -> None:
        """Show it to all gateways. The last one of a kind and id counts."""
        self._published[kind_of(record), id_of(record)] = encode(record)

    def withdraw(self, kind: str, record_id: str) -> None:
        self._published[kind, record_id] = None

    async def forget_withdrawn(self, kind: str, record_id: str) -> None:
        """That there was such a record: for what is good for nothing in whatever memory it may be still."""
        await self._session.execute(
            delete(AccessRow).where(AccessRow.kind == kind, AccessRow.id == record_id, AccessRow.record.is_(None))
        )

    @property
    def publishes(self) -> bool:
        return bool(self._published)

    async def published(self, *keys: tuple[str, str]) -> list[AccessRecord | None]:
        """What gateways are to know now of each kind and id; what this transaction publishes is not among it.

        Raises:
            DamagedAccess: one of them cannot be read.
        """
        found = select(AccessRow.kind, AccessRow.id, AccessRow.record).where(
            tuple_(AccessRow.kind, AccessRow.id).in_(keys)
        )
        records = {(kind, record_id): record for kind, record_id, record in await self._session.execute(found)}
        return [decode(record) if (record := records.get(key)) is not None else None for key in keys]

    async def changed_since(self, revision: int, limit: int) -> Sequence[PublishedChange]:
        found = select(AccessRow).where(AccessRow.revision > revision).order_by(AccessRow.revision).limit(limit)
        return [
            PublishedChange(row.revision, row.kind, row.id, row.record) for row in await self._session.scalars(found)
        ]

    async def finish(self) -> None:
        """To be called last: whoever publishes holds up all others until he commits."""
        await self._session.flush()
        if not self._published:
            return
        advance = (
            update(AccessRevisionRow)
            .where(AccessRevisionRow.id == _SOLE)
            .values(revision=AccessRevisionRow.revision + len(self._published))
            .returning(AccessRevisionRow.revision)
        )
        last = (await self._session.execute(advance)).scalar_one()
        first = last - len(self._published) + 1
        for revision, ((kind, record_id), record) in enumerate(self._published.items(), first):
            await self._session.merge(AccessRow(kind=kind, id=record_id, revision=revision, record=record))
        await self._session.flush()
