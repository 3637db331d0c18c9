"""The embedded gallery's contents on their way to another gallery, and another's on their way in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from likeness.errors import Conflict, SpaceMismatch
from likeness.gallery.base import StoredFace
from likeness.gallery.embedded import people
from likeness.gallery.embedded.erasure import tasks
from likeness.gallery.embedded.faces import faces_after, write_secrets
from likeness.gallery.embedded.schema import count_changes, get_meta, last_number, set_meta
from likeness.gallery.embedded.sealed import read_salt, write_salt
from likeness.gallery.identity import name_hash, photo_hash
from likeness.gallery.stated import stated
from likeness.gallery.trail import Line
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
    owners_of,
)
from likeness.types import Person

_KEYS: dict[Part, tuple[str, str]] = {
    "people": ("people", "id"),
    "faces": ("faces", "id"),
    "merged": ("merged", "source_id"),
    "notes": ("notes", "id"),
    "snapshots": ("snapshots", "path"),
    "events": ("events", "id"),
}
_LIVING = {"notes": "typeof(outcome) = 'text'"}
"""Of the other tables every row counts; erased notes stay as zeros until the file is compacted."""


def outline(connection: sqlite3.Connection) -> Outline:
    """See `Transferable.outline`."""
    return Outline(
        space=str(get_meta(connection, "space")),
        dimension=int(str(get_meta(connection, "dimension"))),
        maker=str(get_meta(connection, "maker") or ""),
        salt=read_salt(connection),
        changes=count_changes(connection),
        last_face_id=last_number(connection, "faces"),
        unfinished=bool(tasks(connection)),
    )


def held(connection: sqlite3.Connection, part: Part) -> Held:
    """See `Transferable.held`."""
    table, key = _KEYS[part]
    where = _LIVING.get(table, "1")
    count, last = connection.execute(f"SELECT count(*), max({key}) FROM {table} WHERE {where}").fetchone()  # noqa: S608
    return Held(count, FIRST[part] if last is None else last)


def export(connection: sqlite3.Connection, part: Part, after: Key, limit: int) -> Rows:
    """See `Transferable.export`."""
    if part == "people":
        return Rows(people=people.people_after(connection, str(after), limit))
    if part == "faces":
        return Rows(faces=faces_after(connection, int(after), limit))
    if part == "merged":
        merged = _rows(connection, "SELECT source_id, into_id FROM merged WHERE source_id > ?", after, limit)
        return Rows(merged=[Merged(*row) for row in merged])
    if part == "notes":
        notes = _rows(
            connection,
            "SELECT id, name_hash, photo_hash, tag_hash, outcome, detail FROM notes "
            "WHERE typeof(outcome) = 'text' AND id > ?",
            after,
            limit,
        )
        return Rows(notes=[KeptNote(*row) for row in notes])
    if part == "snapshots":
        kept = _rows(connection, "SELECT path, mount, created_at FROM snapshots WHERE path > ?", after, limit)
        return Rows(snapshots=[KeptSnapshot(*row) for row in kept])
    lines = _rows(
        connection, "SELECT id, at, actor, action, person_id, details, hash FROM events WHERE id > ?", after, limit
    )
    return Rows(events=[Sealed(Line(*line), seal) for *line, seal in lines])


def _rows(connection: sqlite3.Connection, select: str, after: Key, limit: int) -> list[Any]:
    return connection.execute(f"{select} ORDER BY 1 LIMIT ?", (after, limit)).fetchall()


def importing(connection: sqlite3.Connection) -> str | None:
    """See `Transferable.importing`."""
    token = get_meta(connection, "importing")
    return None if token is None else str(token)


def begin(connection: sqlite3.Connection, wanted: Outline) -> None:
    """See `Transferable.begin_import`."""
    own = outline(connection)
    if (own.space, own.dimension) != (wanted.space, wanted.dimension):
        raise SpaceMismatch(
            f"the gallery holds {own.dimension}-dimensional vectors of {own.space!r}, not {wanted.dimension}-"
            f"dimensional ones of {wanted.space!r}",
            hint="name a gallery that is not there yet",
        )
    here = importing(connection)
    if here == wanted.token():
        return
    if here is not None:
        _empty(connection)
    elif any(held(connection, part).rows for part in ("people", "faces", "notes", "events")):
        raise Conflict(
            "the gallery that the contents should come into has some of its own",
            hint="name a gallery that is not there yet",
        )
    set_meta(connection, importing=wanted.token(), maker=wanted.maker or None)
    write_salt(connection, wanted.salt)
    connection.execute("DELETE FROM sqlite_sequence WHERE name = 'faces'")
    connection.execute("INSERT INTO sqlite_sequence VALUES ('faces', ?)", (wanted.last_face_id,))


def _empty(connection: sqlite3.Connection) -> None:
    """Drop what an import that was given up brought; the room of its rows is zeroed, and given back later."""
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for table in ("faces", "people", "facts", "vectors", "vectors_next", "pictures", "notes", "merged", "events"):
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - the tables above
    connection.execute("DELETE FROM snapshots")
    connection.execute("DELETE FROM sqlite_sequence WHERE name IN ('events', 'notes')")
    for _, statement in triggers:
        connection.execute(statement)
    set_meta(connection, vacuum_due=1)


def take_in(connection: sqlite3.Connection, rows: Rows) -> None:
    """See `Transferable.take_in`."""
    if importing(connection) is None:
        raise Conflict("no gallery's contents are coming into this one", hint="begin the import first")
    salt = read_salt(connection)
    _take_people(connection, salt, rows.people)
    _take_faces(connection, salt, rows.faces)
    connection.executemany("INSERT OR IGNORE INTO merged VALUES (?, ?)", rows.merged)
    connection.executemany("INSERT OR IGNORE INTO notes VALUES (?, ?, ?, ?, ?, ?)", rows.notes)
    connection.executemany(
        "INSERT OR IGNORE INTO snapshots VALUES (?, ?, ?)",
        [(kept.path, kept.mount, kept.created_at) for kept in rows.snapshots],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO events (id, at, actor, action, person_id, details, hash) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(*sealed.line, sealed.seal) for sealed in rows.events],
    )


def _take_people(connection: sqlite3.Connection, salt: bytes, given: Sequence[Person]) -> None:
    for person in given:
        if connection.execute("SELECT 1 FROM people WHERE id = ?", (person.id,)).fetchone() is None:
            key = last_number(connection, "people") + 1
            facts = people.insert_facts(connection, stated(person), key, person.id)
            connection.execute(
                "INSERT INTO people (key, id, name_hash, created_at, facts) VALUES (?, ?, ?, ?, ?)",
                (key, person.id, name_hash(salt, person.name), person.created_at.isoformat(), facts),
            )


def _take_faces(connection: sqlite3.Connection, salt: bytes, given: Sequence[StoredFace]) -> None:
    keys = dict(connection.execute("SELECT id, key FROM people").fetchall()) if given else {}
    for face, owner in zip(given, owners_of(given, keys), strict=True):
        added = connection.execute(
            "INSERT OR IGNORE INTO faces (id, person, photo_hash, face_index, quality, created_at) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (
                face.id,
                owner,
                photo_hash(salt, face.photo_sha256),
                face.face_index,
                face.quality,
                face.created_at.isoformat(),
            ),
        )
        if not added.rowcount:
            continue
        write_secrets(connection, face.id, owner, face)


def end(connection: sqlite3.Connection) -> None:
    """See `Transferable.end_import`."""
    generation = int(str(get_meta(connection, "generation"))) + 1
    set_meta(connection, importing=None, generation=generation)
