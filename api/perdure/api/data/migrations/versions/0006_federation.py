"""Keys for tokens of other issuers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "federated_keys",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("account_id", sa.String(16), nullable=False),
        sa.Column("trusted_issuer_id", sa.String(128), nullable=False, index=True),
        sa.Column("service_account_id", sa.String(128), nullable=False, index=True),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
        sa.Column("has_ended", sa.Boolean, nullable=False),
    )
    op.create_table(
        "used_tokens",
        sa.Column("trusted_issuer_id", sa.String(128), primary_key=True),
        sa.Column("token_hash", sa.LargeBinary, primary_key=True),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
    )
