"""Faces in the embedded gallery: adding, reading, and the rows behind search."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

from likeness.gallery.base import Added, NewFace, StoredFace
from likeness.gallery.embedded import people
from likeness.gallery.embedded.matrix import View
from likeness.gallery.embedded.schema import last_number, read_row
from likeness.gallery.embedded.sealed import cells_of, put, take
from likeness.gallery.identity import name_key, photo_hash
from likeness.gallery.stated import Facts, now, stated, stated_by, with_changes

_PAGE = 256
_SELECT = """
SELECT f.id, f.person, p.id, f.face_index, f.quality, f.created_at, v.vector, c.photo_sha256, c.source, c.box,
  c.landmarks, c.crop
FROM faces f JOIN people p ON p.key = f.person JOIN vectors v ON v.id = f.id JOIN pictures c ON c.id = f.id
"""


def add(connection: sqlite3.Connection, salt: bytes, faces: Sequence[NewFace]) -> list[Added]:
    """See `Gallery.add`; inside the caller's transaction."""
    owners = _people_for(connection, salt, faces)
    next_id = last_number(connection, "faces") + 1
    created_at = now()
    outcomes: list[Added] = []
    known: dict[tuple[int, bytes, int], int] = {}
    rows: list[tuple[Any, ...]] = []
    new: list[tuple[int, int, NewFace]] = []
    for face in faces:
        key, person_id = owners[name_key(face.name)]
        place = (key, photo_hash(salt, face.photo_sha256), face.face_index)
        found = known.get(place) or _face_at(connection, place)
        if found is not None:
            outcomes.append(Added("duplicate", found, person_id))
            continue
        known[place] = next_id
        rows.append((next_id, *place, float(face.quality), created_at))
        new.append((next_id, key, face))
        outcomes.append(Added("added", next_id, person_id))
        next_id += 1
    connection.executemany(
        "INSERT INTO faces (id, person, photo_hash, face_index, quality, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )
    for number, owner, face in new:
        write_secrets(connection, number, owner, face)
    return outcomes


def _people_for(connection: sqlite3.Connection, salt: bytes, faces: Sequence[NewFace]) -> dict[str, tuple[int, str]]:
    """Name key → (person key, id), creating who is missing and noting what the faces state about consent."""
    owners: dict[str, tuple[int, str]] = {}
    for folded, (name, changes) in stated_by(faces).items():
        record = people.find_by_name(connection, salt, name)
        if record is None:
            facts = with_changes(Facts(name), changes)
            key = people.insert(connection, salt, facts)
            person_id = str(connection.execute("SELECT id FROM people WHERE key = ?", (key,)).fetchone()[0])
            owners[folded] = key, person_id
            continue
        now_stated = stated(record.person)
        wanted = with_changes(now_stated, changes)
        if wanted != now_stated:
            people.change(connection, salt, record, wanted)
        owners[folded] = record.key, record.person.id
    return owners


def _face_at(connection: sqlite3.Connection, place: tuple[int, bytes, int]) -> int | None:
    row = connection.execute(
        "SELECT id FROM faces WHERE person = ? AND photo_hash = ? AND face_index = ?", place
    ).fetchone()
    return None if row is None else int(row[0])


def write_secrets(connection: sqlite3.Connection, face_id: int, owner: int, face: NewFace | StoredFace) -> None:
    """Write the vector of a face and what is kept of its picture; `owner` is the key of whose it is."""
    vector = np.ascontiguousarray(face.embedding, np.float32).tobytes()
    box = array("d", face.box_xyxy_px).tobytes()
    landmarks = array("f", face.landmarks_px).tobytes()
    picture = (face.photo_sha256, face.source, box, landmarks, bytes(face.crop_jpeg))
    (cell,) = put(connection, "vectors", face_id, owner, (vector,))
    connection.execute("INSERT INTO vectors VALUES (?, ?)", (face_id, cell))
    connection.execute(
        "INSERT INTO pictures VALUES (?, ?, ?, ?, ?, ?)",
        (face_id, *put(connection, "pictures", face_id, owner, picture)),
    )


def read_page(
    connection: sqlite3.Connection,
    salt: bytes,
    *,
    person_id: str | None,
    photo_sha256: str | None,
    face_id: int | None,
    after: int,
) -> list[StoredFace]:
    """The next faces after an id, oldest first; an empty page ends the list."""
    where, values = ["f.id > ?"], [after]
    filters: list[Any] = list(values)
    if person_id is not None:
        where.append("f.person = ?")
        filters.append(people.find_by_id(connection, person_id).key)
    if photo_sha256 is not None:
        where.append("f.photo_hash = ?")
        filters.append(photo_hash(salt, photo_sha256))
    if face_id is not None:
        where.append("f.id = ?")
        filters.append(face_id)
    rows = connection.execute(
        f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY f.id LIMIT {_PAGE}",
        filters,
    )
    return [_stored(connection, row) for row in rows]


def faces_after(connection: sqlite3.Connection, after: int, limit: int) -> list[StoredFace]:
    """The next faces after an id, oldest first."""
    rows = connection.execute(f"{_SELECT} WHERE f.id > ? ORDER BY f.id LIMIT ?", (after, limit))
    return [_stored(connection, row) for row in rows]


def _stored(connection: sqlite3.Connection, row: tuple[Any, ...]) -> StoredFace:
    face_id, owner, person_id, index, quality, created_at, cell, *picture = row
    (vector,) = take(connection, "vectors", face_id, owner, (cell,))
    photo, source, box, landmarks, crop = take(connection, "pictures", face_id, owner, picture)
    with read_row("faces", face_id):
        x1, y1, x2, y2 = np.frombuffer(box, np.float64).tolist()
        return StoredFace(
            id=face_id,
            person_id=person_id,
            embedding=np.frombuffer(vector, np.float32),
            crop_jpeg=crop,
            photo_sha256=photo,
            face_index=index,
            source=source,
            quality=quality,
            created_at=datetime.fromisoformat(created_at),
            box_xyxy_px=(x1, y1, x2, y2),
            landmarks_px=tuple(np.frombuffer(landmarks, np.float32).tolist()),
        )


def vectors_page(connection: sqlite3.Connection, after: int, dimension: int, *, limit: int = 20_000) -> View:
    """The next faces after an id, in order of id."""
    rows = connection.execute(
        "SELECT f.id, f.person, v.vector FROM faces f JOIN vectors v ON v.id = f.id WHERE f.id > ? "
        "ORDER BY f.id LIMIT ?",
        (after, limit),
    ).fetchall()
    return _as_arrays(connection, rows, dimension)


def rows_of(connection: sqlite3.Connection, face_ids: Sequence[int], dimension: int) -> View:
    """The faces with these ids, those that exist, in order of id."""
    rows: list[tuple[int, int, bytes]] = []
    for start in range(0, len(face_ids), 500):
        part = list(face_ids[start : start + 500])
        marks = ",".join("?" * len(part))
        rows += connection.execute(
            "SELECT f.id, f.person, v.vector FROM faces f JOIN vectors v ON v.id = f.id "  # noqa: S608 - only marks
            f"WHERE f.id IN ({marks})",
            part,
        ).fetchall()
    rows.sort(key=lambda row: row[0])
    return _as_arrays(connection, rows, dimension)


def _as_arrays(connection: sqlite3.Connection, rows: Sequence[tuple[int, int, bytes]], dimension: int) -> View:
    if not rows:
        return View(np.empty((0, dimension), np.float32), np.empty(0, np.int64), np.empty(0, np.int64))
    face_ids, owners, blobs = zip(*rows, strict=True)
    if (cells := cells_of(connection)) is not None:
        blobs = tuple(cells.take("vectors", "vector", face, owner, cell) for face, owner, cell in rows)
    with read_row("vectors", face_ids[0]):  # or one of those after it
        vectors = np.frombuffer(b"".join(blobs), np.float32).reshape(len(rows), dimension)
    return View(vectors, np.array(face_ids, np.int64), np.array(owners, np.int64))
