"""Notes on photos looked at for enrolling; they hold keyed hashes of name and photo, not themselves."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from likeness.gallery.base import PhotoNote
from likeness.gallery.identity import keyed_hash, name_hash, photo_hash
from likeness.gallery.postgres.server import State

_WRITE = """
INSERT INTO gallery_notes (gallery, name_hash, photo_hash, tag_hash, outcome, detail)
VALUES (:gallery, :name_hash, :photo_hash, :tag_hash, :outcome, :detail)
ON CONFLICT (gallery, name_hash, photo_hash, tag_hash)
DO UPDATE SET outcome = excluded.outcome, detail = excluded.detail, number = excluded.number
WHERE (gallery_notes.outcome, gallery_notes.detail) <> (excluded.outcome, excluded.detail)
"""
_READ = """
SELECT photo_hash, outcome, detail FROM gallery_notes
WHERE gallery = :gallery AND name_hash = :name_hash AND tag_hash = :tag_hash AND photo_hash = ANY (:photos)
"""
_MOVE = """
INSERT INTO gallery_notes (gallery, name_hash, photo_hash, tag_hash, outcome, detail)
SELECT gallery, :new, photo_hash, tag_hash, outcome, detail FROM gallery_notes
WHERE gallery = :gallery AND name_hash = :old ORDER BY number
ON CONFLICT DO NOTHING
"""


def write(connection: Connection, state: State, name: str, notes: Sequence[PhotoNote], tag: str) -> None:
    """See `Gallery.note_photos`."""
    latest = {note.photo_sha256: note for note in notes}
    rows = [
        {
            "gallery": state.id,
            "name_hash": name_hash(state.salt, name),
            "photo_hash": photo_hash(state.salt, note.photo_sha256),
            "tag_hash": keyed_hash(state.salt, "tag", tag),
            "outcome": note.outcome,
            "detail": note.detail.replace("\0", "\ufffd"),  # a text of PostgreSQL holds no NUL
        }
        for note in latest.values()
    ]
    if rows:
        # In the same order for all: two who note the same photos do not wait for each other in a circle.
        connection.execute(text(_WRITE), sorted(rows, key=lambda row: str(row["photo_hash"])))


def read(connection: Connection, state: State, name: str, sha256s: Sequence[str], tag: str) -> dict[str, PhotoNote]:
    """See `Gallery.noted_photos`."""
    hashes = {photo_hash(state.salt, sha256): sha256 for sha256 in sha256s}
    rows = connection.execute(
        text(_READ),
        {
            "gallery": state.id,
            "name_hash": name_hash(state.salt, name),
            "tag_hash": keyed_hash(state.salt, "tag", tag),
            "photos": list(hashes),
        },
    )
    found = {hashes[bytes(hashed)]: (outcome, detail) for hashed, outcome, detail in rows}
    return {sha256: PhotoNote(sha256, *found[sha256]) for sha256 in sha256s if sha256 in found}


def read_all(connection: Connection, state: State, name: str) -> list[PhotoNote]:
    """See `Gallery.notes_on`; the photos' own digests are not kept."""
    rows = connection.execute(
        text(
            "SELECT outcome, detail FROM gallery_notes WHERE gallery = :gallery AND name_hash = :name_hash "
            "ORDER BY number"
        ),
        {"gallery": state.id, "name_hash": name_hash(state.salt, name)},
    )
    return [PhotoNote("", *row) for row in rows]


def move(connection: Connection, state: State, old_name: str, new_name: str) -> None:
    """Let the notes on one name's photos follow to another name, so that erasing a person finds them."""
    old, new = name_hash(state.salt, old_name), name_hash(state.salt, new_name)
    if old != new:
        connection.execute(text(_MOVE), {"gallery": state.id, "old": old, "new": new})
        erase(connection, state, old)


def erase(connection: Connection, state: State, hashed_name: bytes) -> None:
    """Erase the notes on one name's photos."""
    connection.execute(
        text("DELETE FROM gallery_notes WHERE gallery = :gallery AND name_hash = :name_hash"),
        {"gallery": state.id, "name_hash": hashed_name},
    )
