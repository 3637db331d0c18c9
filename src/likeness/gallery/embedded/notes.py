"""Notes on photos looked at for enrolling; they hold keyed hashes of name and photo, not themselves."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from likeness.gallery.base import PhotoNote
from likeness.gallery.embedded.schema import blank
from likeness.gallery.identity import keyed_hash, name_hash, photo_hash


def write(connection: sqlite3.Connection, salt: bytes, name: str, notes: Sequence[PhotoNote], tag: str) -> None:
    """See `Gallery.note_photos`."""
    hashed_name, hashed_tag = name_hash(salt, name), keyed_hash(salt, "tag", tag)
    for note in notes:
        place = (hashed_name, photo_hash(salt, note.photo_sha256), hashed_tag)
        old = connection.execute(
            "SELECT id, outcome, detail FROM notes WHERE name_hash = ? AND photo_hash = ? AND tag_hash = ?",
            place,
        ).fetchone()
        if old is not None:
            if old[1:] == (note.outcome, note.detail):
                continue
            blank(connection, "notes", [old[0]])
            connection.execute("UPDATE notes SET photo_hash = randomblob(16) WHERE id = ?", old[:1])
        connection.execute(
            "INSERT INTO notes (name_hash, photo_hash, tag_hash, outcome, detail) VALUES (?, ?, ?, ?, ?)",
            (*place, note.outcome, note.detail),
        )


def read(
    connection: sqlite3.Connection, salt: bytes, name: str, sha256s: Sequence[str], tag: str
) -> dict[str, PhotoNote]:
    """See `Gallery.noted_photos`."""
    hashed_name, hashed_tag = name_hash(salt, name), keyed_hash(salt, "tag", tag)
    found: dict[str, PhotoNote] = {}
    for sha256 in sha256s:
        row = connection.execute(
            "SELECT outcome, detail FROM notes WHERE name_hash = ? AND photo_hash = ? AND tag_hash = ?",
            (hashed_name, photo_hash(salt, sha256), hashed_tag),
        ).fetchone()
        if row is not None:
            found[sha256] = PhotoNote(sha256, *row)
    return found


def read_all(connection: sqlite3.Connection, salt: bytes, name: str) -> list[PhotoNote]:
    """See `Gallery.notes_on`; the photos' own digests are not kept."""
    rows = connection.execute(
        "SELECT outcome, detail FROM notes WHERE name_hash = ? ORDER BY id", (name_hash(salt, name),)
    )
    return [PhotoNote("", *row) for row in rows if isinstance(row[0], str)]
