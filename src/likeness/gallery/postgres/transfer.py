"""A gallery's contents on PostgreSQL on their way to another gallery, and another's on their way in."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from likeness.errors import Conflict, SpaceMismatch
from likeness.gallery.postgres import audit, faces, people
from likeness.gallery.postgres.erasure import tasks
from likeness.gallery.postgres.server import State, take_time, vectors_tables
from likeness.gallery.snapshots import this_host
from likeness.gallery.transfer import (
    FIRST,
    Held,
    KeptNote,
    KeptSnapshot,
    Key,
    Merged,
    Outline,
    Part,
    Rows,
    Sealed,
)

_KEYS: dict[Part, str] = {
    "people": "id",
    "faces": "id",
    "merged": "source_id",
    "notes": "number",
    "snapshots": "path",
    "events": "id",
}


def outline(connection: Connection, state: State) -> Outline:
    """See `Transferable.outline`."""
    return Outline(
        space=state.space,
        dimension=state.dimension,
        maker=state.maker or "",
        salt=bytes(state.salt),
        changes=state.changes,
        last_face_id=state.last_face,
        unfinished=bool(tasks(connection, state)),
    )


def held(connection: Connection, state: State, part: Part) -> Held:
    """See `Transferable.held`."""
    count, last = connection.execute(
        text(f"SELECT count(*), max({_KEYS[part]}) FROM gallery_{part} WHERE gallery = :gallery"),  # noqa: S608
        {"gallery": state.id},
    ).one()
    return Held(count, FIRST[part] if last is None else last)


def export(connection: Connection, state: State, part: Part, after: Key, limit: int) -> Rows:
    """See `Transferable.export`."""
    if part == "people":
        return Rows(people=people.people_after(connection, state, str(after), limit))
    if part == "faces":
        return Rows(faces=faces.read_page(connection, state, after=int(after), limit=limit))
    if part == "merged":
        return Rows(merged=[Merged(*row) for row in _page(connection, state, part, "source_id, into_id", after, limit)])
    if part == "notes":
        columns = "number, name_hash, photo_hash, tag_hash, outcome, detail"
        notes = _page(connection, state, part, columns, after, limit)
        return Rows(notes=[KeptNote(*row) for row in notes])
    if part == "snapshots":
        kept = _page(connection, state, part, "path, mount, created_at, host", after, limit)
        return Rows(snapshots=[KeptSnapshot(path, mount, at.isoformat(), host) for path, mount, at, host in kept])
    lines = audit.lines(connection, state, after=int(after), limit=limit)
    return Rows(events=[Sealed(line, seal) for line, seal in lines])


def _page(connection: Connection, state: State, part: Part, columns: str, after: Key, limit: int) -> list[Any]:
    key = _KEYS[part]
    return list(
        connection.execute(
            text(
                f"SELECT {columns} FROM gallery_{part} WHERE gallery = :gallery AND {key} > :after "  # noqa: S608
                f"ORDER BY {key} LIMIT :limit"
            ),
            {"gallery": state.id, "after": after, "limit": limit},
        )
    )


def begin(connection: Connection, state: State, wanted: Outline) -> None:
    """See `Transferable.begin_import`."""
    if (state.space, state.dimension) != (wanted.space, wanted.dimension):
        raise SpaceMismatch(
            f"the gallery holds {state.dimension}-dimensional vectors of {state.space!r}, not {wanted.dimension}-"
            f"dimensional ones of {wanted.space!r}",
            hint="name a gallery that is not there yet",
        )
    if state.importing == wanted.token():
        return
    if state.importing is not None:
        empty(connection, state)
    elif any(held(connection, state, part).rows for part in ("people", "faces", "notes", "events")):
        raise Conflict(
            "the gallery that the contents should come into has some of its own",
            hint="name a gallery that is not there yet",
        )
    connection.execute(
        text(
            "UPDATE galleries SET importing = :token, salt = :salt, maker = :maker, last_face = :last, faces = 0 "
            "WHERE id = :id"
        ),
        {
            "token": wanted.token(),
            "salt": wanted.salt,
            "maker": wanted.maker or None,
            "last": wanted.last_face_id,
            "id": state.id,
        },
    )


def empty(connection: Connection, state: State) -> None:
    """Drop all contents, the audit trail too: of an import that was given up, or of a gallery that ends."""
    take_time(connection)
    here = {"gallery": state.id}
    for vectors in vectors_tables(connection, state):
        connection.execute(text(f"TRUNCATE {vectors}"))
    for table in ("faces", "people", "notes", "merged", "pending", "snapshots"):
        connection.execute(text(f"DELETE FROM gallery_{table} WHERE gallery = :gallery"), here)  # noqa: S608
    # At last: meanwhile no gallery of the database can write to its audit trail.
    connection.execute(text("ALTER TABLE gallery_events DISABLE TRIGGER gallery_events_stay"))
    connection.execute(text("DELETE FROM gallery_events WHERE gallery = :gallery"), here)
    connection.execute(text("ALTER TABLE gallery_events ENABLE TRIGGER gallery_events_stay"))
    connection.execute(text("UPDATE gallery_trails SET written = 0 WHERE gallery = :gallery"), here)


def take_in(connection: Connection, state: State, rows: Rows) -> None:
    """See `Transferable.take_in`."""
    if state.importing is None:
        raise Conflict("no gallery's contents are coming into this one", hint="begin the import first")
    here = {"gallery": state.id}
    known = _known_people(connection, state, [person.id for person in rows.people])
    people.take_in(connection, state, [person for person in rows.people if person.id not in known])
    if rows.faces:
        faces.take_in(connection, state, rows.faces)
    _insert(connection, "merged (gallery, source_id, into_id)", [here | one._asdict() for one in rows.merged])
    _insert(
        connection,
        "notes (gallery, number, name_hash, photo_hash, tag_hash, outcome, detail)",
        [here | note._asdict() for note in rows.notes],
    )
    _insert(
        connection,
        "snapshots (gallery, path, mount, host, created_at)",
        [
            here
            | kept._asdict()
            | {"created_at": datetime.fromisoformat(kept.created_at), "host": kept.host or this_host()}
            for kept in rows.snapshots
        ],
    )
    _insert(
        connection,
        "events (gallery, id, at, actor, action, person_id, details, hash)",
        [
            here | line._asdict() | {"id": line.number, "hash": seal}
            for line, seal in ((one.line, one.seal) for one in rows.events)
        ],
    )
    if rows.events:
        connection.execute(
            text(
                "UPDATE gallery_trails SET written = (SELECT max(id) FROM gallery_events WHERE gallery = :gallery) "
                "WHERE gallery = :gallery"
            ),
            here,
        )


def _known_people(connection: Connection, state: State, ids: list[str]) -> set[str]:
    rows = connection.execute(
        text("SELECT id FROM gallery_people WHERE gallery = :gallery AND id = ANY (:ids)"),
        {"gallery": state.id, "ids": ids},
    )
    return {row[0] for row in rows}


def _insert(connection: Connection, into: str, values: list[dict[str, Any]]) -> None:
    if values:
        _, _, columns = into.rstrip(")").partition("(")
        marks = ", ".join(f":{column.strip()}" for column in columns.split(","))
        connection.execute(
            text(f"INSERT INTO gallery_{into} VALUES ({marks}) ON CONFLICT DO NOTHING"),  # noqa: S608 - columns of ours
            values,
        )


def end(connection: Connection, state: State) -> None:
    """See `Transferable.end_import`; numbers of notes go on after the last one."""
    connection.execute(text("UPDATE galleries SET importing = NULL WHERE id = :id"), {"id": state.id})
    last = held(connection, state, "notes").last
    behind = text("SELECT last_value < :last FROM gallery_notes_number_seq")
    if connection.execute(behind, {"last": last}).scalar_one():
        # All galleries number by one sequence, which must not go back: nobody draws from it while it is set.
        connection.execute(text("LOCK TABLE gallery_notes IN SHARE ROW EXCLUSIVE MODE"))
        connection.execute(
            text(
                "SELECT setval('gallery_notes_number_seq', greatest(:last, last_value)) FROM gallery_notes_number_seq"
            ),
            {"last": last},
        )
