"""The audit trail on PostgreSQL; `likeness.gallery.trail` tells how it is sealed, a trigger that it only grows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from likeness.gallery import trail
from likeness.gallery.base import Event, TrailCheck
from likeness.gallery.postgres.server import State

_COLUMNS = "id, at, actor, action, person_id, details"
_PAGE = 5_000
INSERT = f"""
INSERT INTO gallery_events (gallery, {_COLUMNS}, hash)
VALUES (:gallery, :number, :at, :actor, :action, :person_id, :details, :hash)
"""  # noqa: S608 - the columns above


def append(
    connection: Connection, state: State, action: str, actor: str, person_id: str | None, details: Mapping[str, Any]
) -> None:
    """Write one line, inside the caller's transaction; others who write one wait for its end."""
    written = connection.execute(
        text("UPDATE gallery_trails SET written = written + 1 WHERE gallery = :gallery RETURNING written"),
        {"gallery": state.id},
    ).scalar_one()
    last = connection.execute(
        text("SELECT hash FROM gallery_events WHERE gallery = :gallery ORDER BY id DESC LIMIT 1"), {"gallery": state.id}
    ).scalar()
    line, seal = trail.write(written, last, action, actor, person_id, details)
    connection.execute(text(INSERT), line._asdict() | {"gallery": state.id, "hash": seal})


def lines(connection: Connection, state: State, *, after: int, limit: int) -> list[tuple[trail.Line, str]]:
    """The next lines after a number, each with its hash."""
    rows = connection.execute(
        text(
            f"SELECT {_COLUMNS}, hash FROM gallery_events WHERE gallery = :gallery AND id > :after "  # noqa: S608
            "ORDER BY id LIMIT :limit"
        ),
        {"gallery": state.id, "after": after, "limit": limit},
    )
    return [(trail.Line(*line), seal) for *line, seal in rows]


def read(connection: Connection, state: State, *, after: int, limit: int) -> list[Event]:
    """See `Gallery.events`."""
    return [
        Event(
            line.number,
            datetime.fromisoformat(line.at),
            line.actor,
            line.action,
            line.person_id,
            json.loads(line.details),
        )
        for line, _ in lines(connection, state, after=after, limit=limit)
    ]


def written(connection: Connection, state: State) -> int:
    """How many lines were ever written."""
    return int(
        connection.execute(
            text("SELECT written FROM gallery_trails WHERE gallery = :gallery"), {"gallery": state.id}
        ).scalar_one()
    )


def verify(connection: Connection, state: State, *, sealed: str | None = None) -> TrailCheck:
    """See `Gallery.check_events`. All in one state of the database: lines may be written meanwhile."""
    count = written(connection, state)

    def all_lines() -> Any:
        after = 0
        while page := lines(connection, state, after=after, limit=_PAGE):
            yield from page
            after = page[-1][0].number

    return trail.verify(all_lines(), written=count, sealed=sealed)
