"""The audit trail: append-only, ids instead of names, each line sealed by a hash over the line before it.

hash(i) = sha256(hash(i-1) + canonical JSON of line i), with 64 zeros before the first. Changing, dropping or
inserting a line breaks every hash after it; dropping the last ones shows in the table's counter. Whoever may write the
file can still write the whole chain anew: a seal (the count and last hash) that is kept elsewhere shows that too.
"""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from likeness.errors import InputError
from likeness.gallery.base import Event, Finding, TrailCheck
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


def verify(connection: sqlite3.Connection, *, sealed: str | None = None) -> TrailCheck:
    """Whether the chain is whole, and still passes through the line and hash of an earlier seal (`count:hash`).

    Names the first line that does not fit.

    Raises:
        InputError: `sealed` is no seal.
    """
    then, hash_then = _parse(sealed)
    previous, count, fault = _START, 0, ""
    rows = connection.execute("SELECT id, at, actor, action, person_id, details, hash FROM events ORDER BY id")
    for *line, seal in rows:
        if line[0] != count + 1 or _seal(previous, tuple(line)) != seal:
            fault = f"line {line[0]} was changed, or lines before it are missing"
            break
        previous, count = seal, count + 1
        if count == then and seal != hash_then:
            fault = f"the trail up to line {then} was written anew since it was sealed"
            break
    else:
        if count != last_number(connection, "events"):
            fault = f"the last lines, after line {count}, are missing"
        elif count < then:
            fault = f"lines {count + 1} to {then}, which were there when it was sealed, are missing"
    words = fault or f"{count} lines, all as written"
    return TrailCheck(Finding("audit trail", not fault, words), f"{count}:{previous}")


def _parse(sealed: str | None) -> tuple[int, str]:
    if sealed is None:
        return 0, _START
    matched = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", sealed.strip())
    if matched is None or (int(matched[1]) == 0 and matched[2] != _START):
        raise InputError(f"{sealed!r} is no seal of an audit trail", hint="a seal reads 12:3f…, as it was shown")
    return int(matched[1]), matched[2]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _seal(previous: str, line: tuple[object, ...]) -> str:
    return hashlib.sha256((previous + _canonical(line)).encode()).hexdigest()
