"""The tables of what is given for tokens of other issuers. See `perdure.api.federation`."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from perdure.api.data.tables import Base


class FederatedKeyRow(Base):
    """A key that was given for a token. `has_ended` says that gateways are told of it no more."""

    __tablename__ = "federated_keys"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(16))
    trusted_issuer_id: Mapped[str] = mapped_column(String(128), index=True)
    service_account_id: Mapped[str] = mapped_column(String(128), index=True)
    expires_at_ns: Mapped[int] = mapped_column(index=True)
    has_ended: Mapped[bool]


class UsedTokenRow(Base):
    """A token that is not to be exchanged again, by the hash of its id."""

    __tablename__ = "used_tokens"

    trusted_issuer_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at_ns: Mapped[int] = mapped_column(index=True)
