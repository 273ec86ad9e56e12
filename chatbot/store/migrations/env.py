"""Alembic's entry: runs the steps on the connection, and in the transaction, that `migrate` opened."""

from __future__ import annotations

from alembic import context

from chatbot.store.tables import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    render_as_batch=True,
)
context.run_migrations()
