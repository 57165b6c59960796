"""Single sign-on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("connection_id", sa.String(128), nullable=False, server_default=""))
    op.create_index("ix_sessions_connection_id", "sessions", ["connection_id"])
    op.create_table(
        "sign_on_flows",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("connection_id", sa.String(128), nullable=False, index=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
    )
