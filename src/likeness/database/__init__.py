"""Databases by SQLAlchemy: connections to PostgreSQL, and the tables' one history for galleries and arrivals alike.

Imported on use: what it needs is in the extras `worker` (SQLite) and `postgres`.
"""

from __future__ import annotations

from likeness.database.connecting import CONNECT_TIMEOUT_S, SCHEMES, Timeouts, postgres_engine, without_gallery
from likeness.database.failing import connection_lost, first_line, refused_to_connect, sqlstate
from likeness.database.migrating import LaterVersion, current_version, migrate

__all__ = [
    "CONNECT_TIMEOUT_S",
    "SCHEMES",
    "LaterVersion",
    "Timeouts",
    "connection_lost",
    "current_version",
    "first_line",
    "migrate",
    "postgres_engine",
    "refused_to_connect",
    "sqlstate",
    "without_gallery",
]
