"""The audit trail in the embedded gallery; `likeness.gallery.trail` tells how it is sealed."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from likeness.gallery import trail
from likeness.gallery.base import Event, TrailCheck
from likeness.gallery.embedded.schema import last_number, read_row


def append(
    connection: sqlite3.Connection, action: str, actor: str, person_id: str | None, details: Mapping[str, Any]
) -> None:
    """Write one line, inside the caller's transaction."""
    last = connection.execute("SELECT hash FROM events ORDER BY id DESC LIMIT 1").fetchone()
    number = last_number(connection, "events") + 1
    line, seal = trail.write(number, last[0] if last else None, action, actor, person_id, details)
    connection.execute(
        "INSERT INTO events (id, at, actor, action, person_id, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*line, seal),
    )


def read(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Event]:
    """See `Gallery.events`."""
    rows = connection.execute(
        "SELECT id, at, actor, action, person_id, details FROM events WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    return [_event(row) for row in rows]


def _event(row: tuple[Any, ...]) -> Event:
    number, at, actor, action, person_id, details = row
    with read_row("events", number):
        return Event(number, datetime.fromisoformat(at), actor, action, person_id, json.loads(details))


def verify(connection: sqlite3.Connection, *, sealed: str | None = None) -> TrailCheck:
    """See `Gallery.check_events`."""
    rows = connection.execute("SELECT id, at, actor, action, person_id, details, hash FROM events ORDER BY id")
    lines = ((trail.Line(*line), seal) for *line, seal in rows)
    return trail.verify(lines, written=last_number(connection, "events"), sealed=sealed)
