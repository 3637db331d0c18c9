"""The audit trail: append-only, ids instead of names, each line sealed by a hash over the line before it.

hash(i) = sha256(hash(i-1) + canonical JSON of line i), with 64 zeros before the first. Changing, dropping or
inserting a line breaks every hash after it; dropping the last ones shows in the table's counter.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from likeness.gallery.base import Event, Finding
from likeness.gallery.people import now
from likeness.gallery.schema import last_number

_START = "0" * 64


def append(
    connection: sqlite3.Connection, action: str, actor: str, person_id: str | None, details: Mapping[str, Any]
) -> None:
    """Write one line, inside the caller's transaction."""
    last = connection.execute("SELECT hash FROM events ORDER BY id DESC LIMIT 1").fetchone()
    number = last_number(connection, "events") + 1
    line = (number, now(), actor, action, person_id, _canonical(dict(details)))
    connection.execute(
        "INSERT INTO events (id, at, actor, action, person_id, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*line, _seal(last[0] if last else _START, line)),
    )


def read(connection: sqlite3.Connection, *, after: int, limit: int) -> list[Event]:
    """See `Gallery.events`."""
    rows = connection.execute(
        "SELECT id, at, actor, action, person_id, details FROM events WHERE id > ? ORDER BY id LIMIT ?",
        (after, limit),
    )
    return [
        Event(number, datetime.fromisoformat(at), actor, action, person_id, json.loads(details))
        for number, at, actor, action, person_id, details in rows
    ]


def verify(connection: sqlite3.Connection) -> Finding:
    """Whether the chain is whole; names the first line that does not fit."""
    previous, count = _START, 0
    rows = connection.execute("SELECT id, at, actor, action, person_id, details, hash FROM events ORDER BY id")
    for *line, seal in rows:
        count += 1
        if line[0] != count or _seal(previous, tuple(line)) != seal:
            return Finding("audit trail", False, f"line {line[0]} was changed, or lines before it are missing")
        previous = seal
    if count != last_number(connection, "events"):
        return Finding("audit trail", False, f"the last lines, after line {count}, are missing")
    return Finding("audit trail", True, f"{count} lines, all as written")


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _seal(previous: str, line: tuple[object, ...]) -> str:
    return hashlib.sha256((previous + _canonical(line)).encode()).hexdigest()
