"""The tables' history, one for a database: arrivals, and on PostgreSQL galleries beside them."""

from __future__ import annotations

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine

VERSION_TABLE = "arrival_version"
"""Named when there were arrivals only; another name would hide the version from what was released then."""
_LOCK = 0x4C6B5265  # "LkRe": an advisory lock of PostgreSQL, while the tables are made


class LaterVersion(Exception):
    """The tables were made by a later Likeness."""


def migrate(engine: Engine) -> None:
    """Bring a database's tables to the present version, unless they are.

    Raises:
        LaterVersion: they are of a version that is not known here.
        sqlalchemy.exc.SQLAlchemyError: the database does not answer, or refuses.
    """
    config = Config()
    config.set_main_option("script_location", "likeness.database:migrations")
    script = ScriptDirectory.from_config(config)
    with engine.connect() as connection:
        if current_version(connection) == script.get_current_head():
            return
    with engine.begin() as connection:  # SQLite's writers take turns by themselves
        if connection.dialect.name == "postgresql":
            connection.execute(sqlalchemy.text("SET LOCAL statement_timeout = 0"))
            connection.execute(sqlalchemy.text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise LaterVersion from error


def current_version(connection: Connection) -> str | None:
    """The version of a database's tables; None where there are none."""
    return MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
