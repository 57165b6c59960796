"""Alembic's way into the migrations. The connection comes from whoever runs them."""

from __future__ import annotations

from alembic import context

from perdure.api.data.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
with context.begin_transaction():
    context.run_migrations()
