"""The database of the records: an SQLite file, or PostgreSQL by its address; made and migrated when it is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from likeness.addresses import masked
from likeness.errors import ExtraMissing, GalleryBusy, RecordsUnavailable, SettingsError
from likeness.private import make_private
from likeness.sqlite import truncate_log

try:
    import sqlalchemy
    from sqlalchemy import Connection, Engine, event
    from sqlalchemy.exc import DBAPIError, SQLAlchemyError

    from likeness.database import SCHEMES, LaterVersion, first_line, migrate, postgres_engine
except ImportError as error:
    raise ExtraMissing(f"records of arrivals need {error.name}", hint="pip install 'likeness[worker]'") from error

BUSY_S = 60.0
READS = "likeness_reads"
"""Execution option of a connection that writes nothing: it waits for no writer."""


def open_database(uri: str) -> Engine:
    """An engine on migrated tables. A path (or `sqlite:///path`) is a file, `postgresql://…` a server.

    Raises:
        SettingsError: the address cannot be used, or the tables are of a later version.
        ExtraMissing: the driver of a server is not installed.
        RecordsUnavailable: the database does not answer.
    """
    engine = _engine(uri)
    try:
        with database_errors(uri):
            migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


@contextmanager
def database_errors(uri: str) -> Iterator[None]:
    """Turn what drivers raise into `RecordsUnavailable`, whose message has no statement and no values."""
    try:
        yield
    except LaterVersion as error:
        raise SettingsError(
            f"the records at {masked(uri)} were made by a later version", hint="upgrade Likeness"
        ) from error
    except DBAPIError as error:
        raise RecordsUnavailable(
            f"the records at {masked(uri)} cannot be used: {first_line(error)}",
            hint="check the setting `records`, and its server",
        ) from error
    except SQLAlchemyError as error:
        raise RecordsUnavailable(f"the records at {masked(uri)} failed: {type(error).__name__}") from error


def _engine(uri: str) -> Engine:
    scheme, divider, rest = uri.partition("://")
    if not divider or scheme == "sqlite":
        return _sqlite(Path(rest.removeprefix("/") if divider else uri).expanduser().absolute())
    if scheme not in SCHEMES:
        raise SettingsError(
            f"no records are kept at {scheme}://", hint="a path is an SQLite file; postgresql://… a server"
        )
    return postgres_engine(uri, what="keeping records of arrivals")


def empty_log(engine: Engine, *, insist: bool = True) -> None:
    """Move what an SQLite file's log holds into the file, so that erased bytes are in neither; nothing on a server.

    Raises:
        RecordsUnavailable: readers held the log for too long, and it was insisted.
    """
    if engine.dialect.name != "sqlite":
        return
    path, lent = Path(str(engine.url.database)), engine.raw_connection()
    try:
        truncate_log(cast(sqlite3.Connection, lent.driver_connection), path, BUSY_S if insist else 0)
    except GalleryBusy as error:
        if insist:
            raise RecordsUnavailable(
                f"erased from the records at {path}, but readers held their log, which may still hold the bytes",
                hint="end long-running readers, then forget the person once more or wait for the next erasure",
            ) from error
    finally:
        lent.close()


def _sqlite(path: Path) -> Engine:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)  # who was seen where: the owner's alone
    except OSError as error:
        raise RecordsUnavailable(f"the records at {path} cannot be written: {error.strerror}") from error
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)), hide_parameters=True, connect_args={"timeout": BUSY_S}
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, record: Any) -> None:
        connection.isolation_level = None  # transactions begin where we say so, tables included
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads first and writes later could not wait for another writer.
        reads = connection.get_execution_options().get(READS, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")

    return engine
