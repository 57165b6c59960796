"""What can be asked of the tables of people, and written to them, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from perdure.api.data.person_tables import (
    AttemptRow,
    CredentialUseRow,
    PendingSignInRow,
    PersonRow,
    RecoveryCodeRow,
    SessionRow,
    SignOnFlowRow,
    TicketRow,
)

_Row = (
    PersonRow
    | RecoveryCodeRow
    | SessionRow
    | SignOnFlowRow
    | TicketRow
    | AttemptRow
    | CredentialUseRow
    | PendingSignInRow
)


class PeopleData:
    """Rows that are read here may be changed; that is written when the transaction ends."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, row: _Row) -> None:
        self._session.add(row)

    async def flush(self) -> None:
        await self._session.flush()

    async def remove(self, row: _Row) -> None:
        await self._session.delete(row)

    # People

    async def person(self, person_id: str) -> PersonRow | None:
        return await self._session.get(PersonRow, person_id)

    async def person_of(self, email: str) -> PersonRow | None:
        await self._session.flush()
        return (await self._session.scalars(select(PersonRow).where(PersonRow.email == email))).one_or_none()

    async def recovery_code(self, person_id: str, code_hash: bytes) -> RecoveryCodeRow | None:
        return await self._session.get(RecoveryCodeRow, (person_id, code_hash))

    async def count_recovery_codes(self, person_id: str) -> int:
        await self._session.flush()
        found = select(func.count()).where(RecoveryCodeRow.person_id == person_id)
        return (await self._session.execute(found)).scalar_one()

    async def forget_recovery_codes(self, person_id: str) -> None:
        await self._session.flush()
        await self._session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.person_id == person_id))

    # Sessions

    async def session(self, session_id: str) -> SessionRow | None:
        return await self._session.get(SessionRow, session_id)

    async def sessions(
        self,
        *,
        person_id: str | None = None,
        user_id: str | None = None,
        account_id: str | None = None,
        connection_id: str | None = None,
    ) -> Sequence[SessionRow]:
        """Those of a person, of a user, of an account, or that came by a sign-on connection, the newest first."""
        await self._session.flush()
        found = select(SessionRow).order_by(SessionRow.created_at_ns.desc(), SessionRow.id)
        for column, value in (
            (SessionRow.person_id, person_id),
            (SessionRow.user_id, user_id),
            (SessionRow.account_id, account_id),
            (SessionRow.connection_id, connection_id),
        ):
            if value is not None:
                found = found.where(column == value)
        return (await self._session.scalars(found)).all()

    async def sessions_ended(self, unused_since_ns: int, now_ns: int, limit: int) -> Sequence[SessionRow]:
        found = (
            select(SessionRow)
            .where((SessionRow.expires_at_ns <= now_ns) | (SessionRow.used_at_ns <= unused_since_ns))
            .limit(limit)
        )
        return (await self._session.scalars(found)).all()

    # Single sign-on

    async def flow(self, flow_id: str) -> SignOnFlowRow | None:
        return await self._session.get(SignOnFlowRow, flow_id)

    async def forget_sign_ons(self, connection_id: str) -> None:
        """Those that are on their way to a session."""
        await self._session.flush()
        for table in (SignOnFlowRow, PendingSignInRow):
            await self._session.execute(delete(table).where(table.connection_id == connection_id))

    # Tickets

    async def ticket(self, ticket_id: str) -> TicketRow | None:
        return await self._session.get(TicketRow, ticket_id)

    async def forget_tickets(self, purpose: str, subject: str) -> None:
        await self._session.flush()
        await self._session.execute(delete(TicketRow).where(TicketRow.purpose == purpose, TicketRow.subject == subject))

    async def forget_old(self, now_ns: int, tried_before_ns: int, known_before_ns: int) -> None:
        """Tickets and sign-ins that have expired, and attempts that were made too long ago to count."""
        await self._session.execute(delete(TicketRow).where(TicketRow.expires_at_ns <= now_ns))
        await self._session.execute(delete(SignOnFlowRow).where(SignOnFlowRow.expires_at_ns <= now_ns))
        await self._session.execute(delete(PendingSignInRow).where(PendingSignInRow.expires_at_ns <= now_ns))
        await self._session.execute(
            delete(AttemptRow).where(
                AttemptRow.changed_at_ns <= tried_before_ns, AttemptRow.succeeded_at_ns <= known_before_ns
            )
        )

    # Pending sign-ins

    async def pending(self, pending_id: str) -> PendingSignInRow | None:
        return await self._session.get(PendingSignInRow, pending_id)

    async def pending_of(self, user_code: str) -> PendingSignInRow | None:
        found = select(PendingSignInRow).where(PendingSignInRow.user_code == user_code)
        return (await self._session.scalars(found)).one_or_none()

    async def count_pending(self, address: str, now_ns: int) -> int:
        """Those that were begun there and have not expired."""
        found = select(func.count()).where(PendingSignInRow.address == address, PendingSignInRow.expires_at_ns > now_ns)
        return (await self._session.execute(found)).scalar_one()

    # Attempts and uses

    async def attempts(self, key: str) -> AttemptRow | None:
        return await self._session.get(AttemptRow, key)

    async def use(self, credential_id: str) -> CredentialUseRow | None:
        return await self._session.get(CredentialUseRow, credential_id)

    async def forget_use(self, credential_id: str) -> None:
        await self._session.flush()
        await self._session.execute(delete(CredentialUseRow).where(CredentialUseRow.id == credential_id))
