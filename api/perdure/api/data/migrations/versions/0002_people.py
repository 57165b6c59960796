"""People: logins, sessions, tickets, attempts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # A person's users, in whichever accounts.
    op.create_index("resources_by_name", "resources", ["kind", "name"])
    op.create_table(
        "people",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("email", sa.String(254), nullable=False, unique=True),
        sa.Column("password_hash", sa.String(256), nullable=False),
        sa.Column("mfa_secret", sa.String(64), nullable=False),
        sa.Column("mfa_pending", sa.String(64), nullable=False),
        sa.Column("mfa_step", sa.BigInteger, nullable=False),
        sa.Column("last_account_id", sa.String(16), nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "recovery_codes",
        sa.Column("person_id", sa.String(64), primary_key=True),
        sa.Column("code_hash", sa.LargeBinary, primary_key=True),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("person_id", sa.String(64), nullable=False, index=True),
        sa.Column("user_id", sa.String(128), nullable=False, index=True),
        sa.Column("account_id", sa.String(16), nullable=False, index=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("user_agent", sa.String(256), nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("used_at_ns", sa.BigInteger, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "tickets",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(254), nullable=False, index=True),
        sa.Column("secret_hash", sa.LargeBinary, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("expires_at_ns", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "attempts",
        sa.Column("key", sa.String(128), primary_key=True),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("open_at_ns", sa.BigInteger, nullable=False),
        sa.Column("succeeded_at_ns", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ns", sa.BigInteger, nullable=False, index=True),
    )
    op.create_table(
        "credential_uses",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("used_at_ns", sa.BigInteger, nullable=False),
    )
