"""Sign-ins that programs have begun and people complete in a browser."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.create_table(
        "pending_sign_ins",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("client_name", sa.String(64), nullable=False),
        sa.Column("address", sa.String(64), nullable=False, index=True),
        sa.Column("user_agent", sa.String(256), nullable=False),
        sa.Column("code_challenge", sa.String(64), nullable=False),
        sa.Column("redirect_uri", sa.String(256), nullable=False),
        sa.Column("return_state", sa.String(256), nullable=False),
        sa.Column("user_code", sa.String(16), nullable=True, unique=True),
        sa.Column("account_id", sa.String(16), nullable=False),
        sa.Column("browser_hash", sa.LargeBinary, nullable=False),
        sa.Column("person_id", sa.String(64), nullable=False),
        sa.Column("password_digest", sa.LargeBinary, nullable=False),
        sa.Column("is_proven", sa.Boolean, nullable=False),
        sa.Column("user_id", sa.String(128), nullable=False),
        sa.Column("connection_id", sa.String(128), nullable=False),
        sa.Column("code_hash", sa.LargeBinary, nullable=False),
        sa.Column("session_id", sa.String(64), nullable=False),
        sa.Column("interval_s", sa.BigInteger, nullable=False),
        sa.Column("polled_at_ns", sa.BigInteger, nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
    )
