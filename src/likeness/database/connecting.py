"""Connections to PostgreSQL servers, by the address that the settings name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy
from sqlalchemy import URL, Engine, event
from sqlalchemy.exc import ArgumentError

from likeness.addresses import masked
from likeness.errors import ExtraMissing, SettingsError

SCHEMES = ("postgresql", "postgres", "postgresql+psycopg")
CONNECT_TIMEOUT_S = 10
"""How long a server has to answer; the address may say `connect_timeout=` instead."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a statement may run, and wait for another's lock, before the server ends it."""

    statement_s: float
    lock_s: float


def without_gallery(uri: str) -> tuple[URL, str | None]:
    """The server's own address, and which of its galleries (`?gallery=`) was meant.

    Raises:
        SettingsError: it is no address of a database.
    """
    _, _, rest = uri.partition("://")
    try:
        url = sqlalchemy.make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError) as error:
        raise SettingsError(
            f"{masked(uri)!r} is no address of a database", hint="it reads postgresql://user:password@host/database"
        ) from error
    name = url.query.get("gallery")
    if isinstance(name, tuple):
        raise SettingsError(f"{masked(uri)!r} names several galleries")
    return url.difference_update_query(["gallery"]), name


def postgres_engine(uri: str, *, what: str, timeouts: Timeouts | None = None) -> Engine:
    """An engine on a server; nothing is asked of it yet. `what` needs it, for the error where the driver is missing.

    Raises:
        SettingsError: it is no address of a database.
        ExtraMissing: the driver is not installed.
    """
    url, _ = without_gallery(uri)
    arguments: dict[str, Any] = {} if "connect_timeout" in url.query else {"connect_timeout": CONNECT_TIMEOUT_S}
    if not any(key.startswith("keepalives") for key in url.query):
        # A server that vanished is noticed within a minute, not after hours.
        arguments |= {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
    try:
        # A connection is tried before it is used: a server that was started anew goes unnoticed.
        engine = sqlalchemy.create_engine(
            url,
            pool_pre_ping=True,
            pool_size=5,
            max_overflow=15,
            pool_timeout=30,
            hide_parameters=True,  # names and vectors stay out of tracebacks
            connect_args=arguments,
        )
    except ImportError as error:
        raise ExtraMissing(f"{what} on PostgreSQL needs psycopg", hint="pip install 'likeness[postgres]'") from error
    if timeouts is not None:
        _limit(engine, timeouts)
    return engine


def _limit(engine: Engine, timeouts: Timeouts) -> None:
    @event.listens_for(engine, "connect")
    def prepare(connection: Any, record: Any) -> None:
        connection.autocommit = True
        connection.execute(f"SET statement_timeout = {round(timeouts.statement_s * 1000)}")
        connection.execute(f"SET lock_timeout = {round(timeouts.lock_s * 1000)}")
        connection.execute("SET TIME ZONE 'UTC'")
        connection.execute("SET jit = off")  # compiling a search takes longer than the search
        connection.autocommit = False
