"""How alembic migrates: on the connection that it is handed, in the transaction that this is in."""

from __future__ import annotations

from alembic import context

from likeness.intake.records.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table="arrival_version",
    render_as_batch=True,
    # A database may hold a gallery's tables too: they have versions of their own.
    include_name=lambda name, kind, parents: kind != "table" or str(name).startswith("arrival"),
)
context.run_migrations()
