"""What is written down about arrivals: jobs, their photos, results, and callers to be told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)


class Moment(TypeDecorator[datetime]):
    """A time with its zone; SQLite, which knows none, keeps it in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """From the database."""
        if value is None:
            return None
        found: datetime = value if value.tzinfo else value.replace(tzinfo=UTC)
        return found.astimezone(UTC)


metadata = MetaData()

jobs = Table(
    "arrival_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("total", Integer, nullable=False),
    Column("callback", Text),
    Column("created_at", Moment, nullable=False, index=True),
    Column("ended_at", Moment),
    Column("cancelled", Boolean, nullable=False),
)

photos = Table(
    "arrivals",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job", String(32), ForeignKey("arrival_jobs.id", ondelete="CASCADE"), index=True),
    Column("place", Integer, nullable=False),
    Column("uri", Text, nullable=False),
    Column("name", Text),
    Column("again", Boolean, nullable=False),
    Column("state", String(16), nullable=False),
    Column("content", String(64), index=True),
    Column("code", String(64)),
    Column("reason", Text),
    Column("created_at", Moment, nullable=False),
    Column("ended_at", Moment, index=True),
)

results = Table(
    "arrival_results",
    metadata,
    Column("content", String(64), primary_key=True),
    Column("faces", Integer, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("answered_at", Moment, nullable=False),
)

named = Table(
    "arrival_people",
    metadata,
    Column("content", String(64), ForeignKey("arrival_results.content", ondelete="CASCADE"), primary_key=True),
    Column("person", String(64), primary_key=True),
    Index("arrival_people_person", "person"),
)

tellings = Table(
    "arrival_tellings",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("job", String(32), ForeignKey("arrival_jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("photo", String(32)),
    Column("created_at", Moment, nullable=False),
    Column("told_at", Moment),
    Column("reason", Text),
)
