"""Secrets of second factors are sealed, which makes them longer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("people") as people:
        for name in ("mfa_secret", "mfa_pending"):
            people.alter_column(name, existing_type=sa.String(64), type_=sa.String(256))
