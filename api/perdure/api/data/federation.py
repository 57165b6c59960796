"""What can be asked of the tables of federation, and written to them, within one transaction."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from perdure.api.data.federation_tables import FederatedKeyRow, UsedTokenRow


class FederationData:
    """Rows that are read here may be changed; that is written when the transaction ends."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, row: FederatedKeyRow | UsedTokenRow) -> None:
        self._session.add(row)

    async def remove(self, row: FederatedKeyRow) -> None:
        await self._session.delete(row)

    async def count_keys(self, service_account_id: str, now_ns: int) -> int:
        """Those that are good for something."""
        await self._session.flush()
        found = select(func.count()).where(
            FederatedKeyRow.service_account_id == service_account_id,
            FederatedKeyRow.expires_at_ns > now_ns,
            FederatedKeyRow.has_ended.is_(False),
        )
        return (await self._session.execute(found)).scalar_one()

    async def keys_of(self, trusted_issuer_id: str) -> Sequence[FederatedKeyRow]:
        """Those that have not ended."""
        await self._session.flush()
        found = select(FederatedKeyRow).where(
            FederatedKeyRow.trusted_issuer_id == trusted_issuer_id, FederatedKeyRow.has_ended.is_(False)
        )
        return (await self._session.scalars(found)).all()

    async def expired(self, before_ns: int, limit: int, *, has_ended: bool) -> Sequence[FederatedKeyRow]:
        await self._session.flush()
        found = select(FederatedKeyRow).where(
            FederatedKeyRow.expires_at_ns <= before_ns, FederatedKeyRow.has_ended.is_(has_ended)
        )
        return (await self._session.scalars(found.limit(limit))).all()

    async def used_token(self, trusted_issuer_id: str, token_hash: bytes) -> UsedTokenRow | None:
        return await self._session.get(UsedTokenRow, (trusted_issuer_id, token_hash))

    async def forget_tokens(self, now_ns: int) -> None:
        """Those that are no longer good anyway."""
        await self._session.execute(delete(UsedTokenRow).where(UsedTokenRow.expires_at_ns <= now_ns))
