"""How alembic migrates: on the connection that it is handed, in the transaction that this is in."""

from __future__ import annotations

from alembic import context

from likeness.database.migrating import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE, render_as_batch=True)
context.run_migrations()
