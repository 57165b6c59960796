"""Resources, operations, and what is published of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "resources",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("account_id", sa.String(16), nullable=False),
        sa.Column("name", sa.String(512), nullable=False),
        sa.Column("owner_id", sa.String(128), nullable=False),
        sa.Column("spec", sa.LargeBinary, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.BigInteger, nullable=False),
        sa.Column("operation_id", sa.String(128), nullable=False),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
        sa.Column("modified_at_ns", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account_id", "kind", "name"),
    )
    op.create_index("resources_by_owner", "resources", ["owner_id"])
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(128), primary_key=True),
        sa.Column("user_id", sa.String(128), primary_key=True),
        sa.Column("created_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_group_members_user_id", "group_members", ["user_id"])
    op.create_table(
        "operations",
        sa.Column("account_id", sa.String(16), primary_key=True),
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("rpc", sa.String(128), nullable=False),
        sa.Column("principal_id", sa.String(128), nullable=False),
        sa.Column("request", sa.LargeBinary, nullable=False),
        sa.Column("response", sa.LargeBinary, nullable=False),
        sa.Column("resource_kind", sa.String(32), nullable=False),
        sa.Column("resource_id", sa.String(128), nullable=False),
        sa.Column("state", sa.BigInteger, nullable=False),
        sa.Column("failure", sa.String(1024), nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("claimed_until_ns", sa.BigInteger, nullable=False),
        sa.Column("started_at_ns", sa.BigInteger, nullable=False),
        sa.Column("finished_at_ns", sa.BigInteger, nullable=False),
    )
    op.create_index("operations_by_state", "operations", ["state"])
    op.create_table(
        "access",
        sa.Column("kind", sa.String(32), primary_key=True),
        sa.Column("id", sa.String(512), primary_key=True),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=True),
    )
    op.create_index("ix_access_revision", "access", ["revision"])
    revisions = op.create_table(
        "access_revision",
        # SQLite counts by itself in a column of another type.
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(revisions, [{"id": 1, "revision": 0}])
