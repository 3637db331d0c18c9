"""Faces on Elasticsearch: adding them, and reading them back as they were given."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from likeness.gallery.base import Added, NewFace, StoredFace
from likeness.gallery.elastic import people
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.changes import GONE, Change, Plan
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.store import Kept, Store
from likeness.gallery.identity import name_key, photo_hash
from likeness.gallery.stated import Facts, now, stated, stated_by, with_changes
from likeness.types import Vector

_PAGE = 100
_AT_ONCE = 1_000
FIELDS = ("id", "person", "photo", "face_index", "change", "held")
"""What is read of a face: all but the vector, which `held` has exactly as it was given."""


def add(store: Store, change: Change, faces: Sequence[NewFace]) -> list[Added]:
    """See `Gallery.add`."""
    plan, head = Plan(), change.head
    owners = _owners(store, change, plan, faces)
    photos = {face.photo_sha256: photo_hash(head.key, face.photo_sha256).hex() for face in faces}
    known = _known(store, head, sorted(set(owners.values())), sorted(set(photos.values())))
    created_at, number = now(), head.last_face
    outcomes: list[Added] = []
    for face in faces:
        person_id = owners[name_key(face.name)]
        place = (person_id, photos[face.photo_sha256], face.face_index)
        if place in known:
            outcomes.append(Added("duplicate", known[place], person_id))
            continue
        number += 1
        known[place] = number
        body = _body(number, place, face, created_at, change.number)
        plan.fresh.append(Action("create", head.index, str(number), body))
        outcomes.append(Added("added", number, person_id))
    plan.faces, plan.head = number - head.last_face, {"last_face": number}
    if plan.fresh or plan.old:
        change.commit(plan)
    return outcomes


def _owners(store: Store, change: Change, plan: Plan, faces: Sequence[NewFace]) -> dict[str, str]:
    """Name key → person id, planning who is missing and what the faces state about consent."""
    said = stated_by(faces)
    people.expect_name_fits(name for name, _ in said.values())
    found = people.by_names(store, change.head, [name for name, _ in said.values()])
    owners: dict[str, str] = {}
    for folded, (name, changes) in said.items():
        record, named = found[name]
        if record is None:
            owners[folded] = people.add(store, change, plan, with_changes(Facts(name), changes), named).id
            continue
        before = stated(record.person)
        wanted = with_changes(before, changes)
        if wanted != before:
            people.restate(store, change, plan, record, wanted)
        owners[folded] = record.person.id
    return owners


def _known(store: Store, head: Head, owners: Sequence[str], photos: Sequence[str]) -> dict[tuple[str, str, int], int]:
    """(person, photo, index) → face, of those people and photos; a search sees all that counts, as the head is held."""
    found: dict[tuple[str, str, int], int] = {}
    for first in range(0, len(owners), _AT_ONCE):
        for start in range(0, len(photos), _AT_ONCE):
            filters = [
                {"terms": {"person": list(owners[first : first + _AT_ONCE])}},
                {"terms": {"photo": list(photos[start : start + _AT_ONCE])}},
                people.visible(head),
            ]
            hits = store.pages(
                head.index, {"bool": {"filter": filters}}, ("id",), fields=("id", "person", "photo", "face_index")
            )
            for face in (hit["_source"] for hit in hits):
                found[face["person"], face["photo"], face["face_index"]] = face["id"]
    return found


def _body(number: int, place: tuple[str, str, int], face: NewFace, created_at: str, change: int) -> dict[str, Any]:
    person_id, photo, index = place
    return {
        "kind": "face",
        "id": number,
        "person": person_id,
        "photo": photo,
        "face_index": index,
        "change": change,
        **vector_fields(face.embedding),
        "held": {
            "embedding": encoded(np.ascontiguousarray(face.embedding, np.float32).tobytes()),
            "crop": encoded(bytes(face.crop_jpeg)),
            "photo_sha256": face.photo_sha256,
            "source": face.source,
            "quality": float(face.quality),
            "created_at": created_at,
            "box": [float(at) for at in face.box_xyxy_px],
            "landmarks": [float(np.float32(at)) for at in face.landmarks_px],
        },
    }


def as_body(face: StoredFace, photo: str, change: int) -> dict[str, Any]:
    """A face of another gallery, ids and all, as a document."""
    new = NewFace(
        name="",
        embedding=face.embedding,
        crop_jpeg=face.crop_jpeg,
        photo_sha256=face.photo_sha256,
        source=face.source,
        quality=face.quality,
        box_xyxy_px=face.box_xyxy_px,
        landmarks_px=face.landmarks_px,
    )
    return _body(face.id, (face.person_id, photo, face.face_index), new, face.created_at.isoformat(), change)


def vector_fields(embedding: Vector) -> dict[str, Any]:
    """What the index of vectors gets: nine digits are enough to give back each float32."""
    return {"vector": [float(f"{value:.9g}") for value in embedding.tolist()]}


def encoded(data: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(data).decode()


def as_face(body: dict[str, Any]) -> StoredFace:
    """A face's document as a face."""
    held = body["held"]
    x1, y1, x2, y2 = held["box"]
    return StoredFace(
        id=body["id"],
        person_id=body["person"],
        embedding=np.frombuffer(base64.b64decode(held["embedding"]), np.float32),
        crop_jpeg=base64.b64decode(held["crop"]),
        photo_sha256=held["photo_sha256"],
        face_index=body["face_index"],
        source=held["source"],
        quality=held["quality"],
        created_at=datetime.fromisoformat(held["created_at"]),
        box_xyxy_px=(x1, y1, x2, y2),
        landmarks_px=tuple(held["landmarks"]),
    )


def read(store: Store, *, person_id: str | None, photo_sha256: str | None, face_id: int | None) -> Iterator[StoredFace]:
    """See `Gallery.faces`."""
    after = 0
    while True:
        if person_id is not None:
            people.by_id(store, person_id)
        last = after

        def next_page(head: Head, last: int = last) -> list[dict[str, Any]]:
            return page_after(store, head, last, _PAGE, person_id=person_id, photo_sha256=photo_sha256, face_id=face_id)

        page = store.at_present(next_page)
        yield from (as_face(body) for body in page)
        if len(page) < _PAGE:
            return
        after = page[-1]["id"]


def page_after(
    store: Store,
    head: Head,
    after: int,
    limit: int,
    *,
    person_id: str | None = None,
    photo_sha256: str | None = None,
    face_id: int | None = None,
) -> list[dict[str, Any]]:
    """The next faces after an id, as documents.

    Raises:
        Overtaken: the index of faces was replaced.
    """
    filters: list[dict[str, Any]] = [{"exists": {"field": "person"}}, people.visible(head)]
    if person_id is not None:
        filters.append({"term": {"person": {"value": person_id}}})
    if photo_sha256 is not None:
        filters.append({"term": {"photo": {"value": photo_hash(head.key, photo_sha256).hex()}}})
    if face_id is not None:
        filters.append({"term": {"id": {"value": face_id}}})
    hits = store.pages(
        head.index, {"bool": {"filter": filters}}, ("id",), after=[after], size=_PAGE, limit=limit, fields=FIELDS
    )
    return [hit["_source"] for hit in hits]


def ids_of(store: Store, head: Head, person_id: str) -> dict[int, tuple[str, int]]:
    """A person's faces: id → (photo, index); all of them, as the head is held."""
    query = {"bool": {"filter": [{"term": {"person": {"value": person_id}}}, people.visible(head)]}}
    hits = store.pages(head.index, query, ("id",), size=1_000, fields=("id", "photo", "face_index"))
    return {hit["_source"]["id"]: (hit["_source"]["photo"], hit["_source"]["face_index"]) for hit in hits}


def erasing(store: Store, indexes: Sequence[str], face_ids: Sequence[int]) -> list[Action]:
    """What erases faces from some indexes, as they are now; tombstones let no late writer bring them back."""
    return [
        Action("create", index, id_, GONE) if kept is None else Action("index", index, id_, GONE, kept.seen)
        for index, id_, kept in _present(store, indexes, face_ids)
    ]


def giving(store: Store, indexes: Sequence[str], face_ids: Sequence[int], person_id: str) -> list[Action]:
    """What gives faces to somebody else in those of some indexes that have them, as they are now."""
    return [
        Action("update", index, id_, {"person": person_id}, kept.seen)
        for index, id_, kept in _present(store, indexes, face_ids)
        if kept is not None and kept.body["kind"] == "face"
    ]


def _present(store: Store, indexes: Sequence[str], face_ids: Sequence[int]) -> Iterator[tuple[str, str, Kept | None]]:
    for index in indexes:
        ids = [str(face) for face in face_ids]
        there = store.get_many([(index, id_) for id_ in ids], fields=["kind"])
        yield from ((index, id_, kept) for id_, kept in zip(ids, there, strict=True))
