"""The audit log with its chains and exports, and billing reports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_UNSEALED = sa.text("number IS NULL")


def upgrade() -> None:
    op.create_table(
        "audit_records",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("account_id", sa.String(16), nullable=False),
        sa.Column("emitted_at_ns", sa.BigInteger, nullable=False),
        sa.Column("record", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=True),
        sa.Column("hash", sa.LargeBinary, nullable=True),
        sa.UniqueConstraint("account_id", "number"),
    )
    op.create_index("audit_records_by_time", "audit_records", ["account_id", "emitted_at_ns", "id"])
    op.create_index(
        "audit_records_unsealed",
        "audit_records",
        ["emitted_at_ns"],
        sqlite_where=_UNSEALED,
        postgresql_where=_UNSEALED,
    )
    op.create_table(
        "audit_chains",
        sa.Column("account_id", sa.String(16), primary_key=True),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("last_hash", sa.LargeBinary, nullable=False),
        sa.Column("removed", sa.BigInteger, nullable=False),
        sa.Column("removed_hash", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "audit_sinks",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("claimed_until_ns", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.BigInteger, nullable=False),
        sa.Column("failure", sa.String(1024), nullable=False),
        sa.Column("is_theirs", sa.Boolean, nullable=False),
        sa.Column("succeeded_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "billing_files",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("compressed", sa.LargeBinary, nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
    )
