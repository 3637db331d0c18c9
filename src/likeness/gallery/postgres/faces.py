"""Faces of a gallery on PostgreSQL: adding them, and reading them back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, text

from likeness.gallery.base import Added, NewFace, StoredFace
from likeness.gallery.identity import name_key, photo_hash
from likeness.gallery.postgres import people
from likeness.gallery.postgres.server import State
from likeness.gallery.stated import Facts, stated, stated_by, with_changes
from likeness.gallery.transfer import owners_of
from likeness.types import Vector

_PAGE = 256
_INSERT = """
INSERT INTO gallery_faces (gallery, id, person, photo_hash, face_index, quality, created_at, photo_sha256, source, box,
  landmarks, crop)
SELECT CAST(:gallery AS int), id, person, photo_hash, face_index, quality, created_at, photo_sha256, source,
  CAST(box AS double precision[]), CAST(landmarks AS double precision[]), crop
FROM unnest(CAST(:id AS bigint[]), CAST(:person AS bigint[]), CAST(:photo_hash AS bytea[]), CAST(:face_index AS int[]),
  CAST(:quality AS double precision[]), CAST(:created_at AS timestamptz[]), CAST(:photo_sha256 AS text[]),
  CAST(:source AS text[]), CAST(:box AS text[]), CAST(:landmarks AS text[]), CAST(:crop AS bytea[]))
  AS new (id, person, photo_hash, face_index, quality, created_at, photo_sha256, source, box, landmarks, crop)
"""
_INSERT_VECTORS = """
INSERT INTO {vectors} (face, person, vec)
SELECT face, person, CAST(vec AS vector)
FROM unnest(CAST(:face AS bigint[]), CAST(:person AS bigint[]), CAST(:vec AS text[])) AS new (face, person, vec)
"""
_SELECT = """
SELECT f.id, p.id, vector_send(v.vec), f.crop, f.photo_sha256, f.face_index, f.source, f.quality, f.created_at, f.box,
  f.landmarks
FROM gallery_faces f JOIN gallery_people p ON p.key = f.person JOIN {vectors} v ON v.face = f.id
WHERE f.gallery = :gallery AND f.id > :after
"""


def as_text(vector: Vector) -> str:
    """A vector as PostgreSQL reads one; to the last bit."""
    return f"[{','.join(map(repr, vector.tolist()))}]"


def from_wire(sent: bytes) -> Vector:
    """A vector from what `vector_send` gives: two numbers of 16 bits, then float32, the high byte first."""
    return np.frombuffer(sent, ">f4", offset=4).astype(np.float32)


def add(connection: Connection, state: State, faces: Sequence[NewFace]) -> list[Added]:
    """See `Gallery.add`; inside the caller's transaction, which holds the gallery's row."""
    owners = _people_for(connection, state, faces)
    hashes = [photo_hash(state.salt, face.photo_sha256) for face in faces]
    known = _known(connection, state, hashes)
    created_at, last = datetime.now(UTC), state.last_face
    outcomes: list[Added] = []
    rows: list[dict[str, Any]] = []
    vectors: list[dict[str, Any]] = []
    for face, hashed in zip(faces, hashes, strict=True):
        owner = owners[name_key(face.name)]
        place = (owner.key, hashed, face.face_index)
        if place in known:
            outcomes.append(Added("duplicate", known[place], owner.person.id))
            continue
        last += 1
        known[place] = last
        rows.append(_row(last, owner.key, hashed, face, created_at))
        vectors.append({"face": last, "person": owner.key, "vec": as_text(face.embedding)})
        outcomes.append(Added("added", last, owner.person.id))
    write(connection, state, rows, vectors)
    count_faces(connection, state, len(rows), last)
    return outcomes


def write(
    connection: Connection, state: State, rows: Sequence[dict[str, Any]], vectors: Sequence[dict[str, Any]]
) -> None:
    """Insert faces and their vectors: all of them by one statement each, which takes half the time of one for each."""
    if rows:
        connection.execute(text(_INSERT), {"gallery": state.id} | _columns(rows))
        connection.execute(text(_INSERT_VECTORS.format(vectors=state.vectors)), _columns(vectors))


def _columns(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Column → its values, of rows that have the same columns."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def _array(numbers: Iterable[float]) -> str:
    """Numbers as PostgreSQL reads an array; to the last bit."""
    return "{" + ",".join(map(repr, numbers)) + "}"


def count_faces(connection: Connection, state: State, more: int, last: int | None = None) -> None:
    """Note how many faces there are, and the last number given to one."""
    connection.execute(
        text("UPDATE galleries SET faces = faces + :more, last_face = :last WHERE id = :id"),
        {"more": more, "last": state.last_face if last is None else last, "id": state.id},
    )


def _people_for(connection: Connection, state: State, faces: Sequence[NewFace]) -> dict[str, people.Record]:
    """Name key → person, creating who is missing and noting what the faces state about consent."""
    wanted = stated_by(faces)
    owners = people.find_by_names(connection, state, [name for name, _ in wanted.values()])
    for folded, record in owners.items():
        before = stated(record.person)
        after = with_changes(before, wanted[folded][1])
        if after != before:
            people.change(connection, state, record, after)
    missing = [name_and_changes for folded, name_and_changes in wanted.items() if folded not in owners]
    if missing:
        people.insert(connection, state, [with_changes(Facts(name), changes) for name, changes in missing])
        owners |= people.find_by_names(connection, state, [name for name, _ in missing])
    return owners


def _known(connection: Connection, state: State, hashes: Sequence[bytes]) -> dict[tuple[int, bytes, int], int]:
    """Person, photo and index of the faces that are there already from these photos."""
    rows = connection.execute(
        text(
            "SELECT person, photo_hash, face_index, id FROM gallery_faces "
            "WHERE gallery = :gallery AND photo_hash = ANY (:hashes)"
        ),
        {"gallery": state.id, "hashes": list(set(hashes))},
    )
    return {(person, bytes(hashed), index): face for person, hashed, index, face in rows}


def _row(number: int, owner: int, hashed: bytes, face: NewFace | StoredFace, created_at: datetime) -> dict[str, Any]:
    return {
        "id": number,
        "person": owner,
        "photo_hash": hashed,
        "face_index": face.face_index,
        "quality": float(face.quality),
        "created_at": created_at,
        "photo_sha256": face.photo_sha256,
        "source": face.source.replace("\0", "\ufffd"),  # a text of PostgreSQL holds no NUL
        "box": _array(float(at) for at in face.box_xyxy_px),
        "landmarks": _array(float(np.float32(at)) for at in face.landmarks_px),
        "crop": bytes(face.crop_jpeg),
    }


def take_in(connection: Connection, state: State, faces: Sequence[StoredFace]) -> None:
    """Insert faces that come from another gallery, with their numbers; those that are there stay."""
    keys = {
        row.id: row.key
        for row in connection.execute(
            text("SELECT id, key FROM gallery_people WHERE gallery = :gallery AND id = ANY (:ids)"),
            {"gallery": state.id, "ids": list({face.person_id for face in faces})},
        )
    }
    here = connection.execute(
        text("SELECT id FROM gallery_faces WHERE gallery = :gallery AND id = ANY (:ids)"),
        {"gallery": state.id, "ids": [face.id for face in faces]},
    )
    known = {row[0] for row in here}
    new = [face for face in faces if face.id not in known]
    owners = owners_of(new, keys)
    rows = [
        _row(face.id, owner, photo_hash(state.salt, face.photo_sha256), face, face.created_at)
        for face, owner in zip(new, owners, strict=True)
    ]
    vectors = [
        {"face": face.id, "person": owner, "vec": as_text(face.embedding)}
        for face, owner in zip(new, owners, strict=True)
    ]
    write(connection, state, rows, vectors)
    count_faces(connection, state, len(rows))


def read_page(
    connection: Connection,
    state: State,
    *,
    person_id: str | None = None,
    photo_sha256: str | None = None,
    face_id: int | None = None,
    after: int = 0,
    limit: int = _PAGE,
) -> list[StoredFace]:
    """The next faces after an id, oldest first; an empty page ends the list."""
    where, values = "", {"gallery": state.id, "after": after, "limit": limit}
    if person_id is not None:
        where += " AND f.person = :person"
        values["person"] = people.find_by_id(connection, state, person_id).key
    if photo_sha256 is not None:
        where += " AND f.photo_hash = :photo"
        values["photo"] = photo_hash(state.salt, photo_sha256)  # type: ignore[assignment]
    if face_id is not None:
        where += " AND f.id = :face"
        values["face"] = face_id
    select = _SELECT.format(vectors=state.vectors)
    rows = connection.execute(text(f"{select}{where} ORDER BY f.id LIMIT :limit"), values)
    return [_stored(row) for row in rows]


def _stored(row: Sequence[Any]) -> StoredFace:
    face_id, person_id, vector, crop, photo, index, source, quality, created_at, box, landmarks = row
    x1, y1, x2, y2 = box
    return StoredFace(
        id=face_id,
        person_id=person_id,
        embedding=from_wire(bytes(vector)),
        crop_jpeg=bytes(crop),
        photo_sha256=photo,
        face_index=index,
        source=source,
        quality=quality,
        created_at=created_at.astimezone(UTC),
        box_xyxy_px=(x1, y1, x2, y2),
        landmarks_px=tuple(landmarks),
    )
