"""Notes on photos looked at for enrolling; they hold keyed hashes of name and photo, not themselves.

A note's id follows from the hashes, so it is read without a search, and a later note replaces an earlier one. Only what
asks for all notes of a name has to make searches see them first.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from likeness.gallery.base import PhotoNote
from likeness.gallery.elastic import bulk
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.store import Store
from likeness.gallery.identity import keyed_hash, name_hash, photo_hash

_NUMBER_BITS = 20


def new_number() -> int:
    """A number for a note, above those of earlier milliseconds."""
    return (time.time_ns() // 1_000_000 << _NUMBER_BITS) | secrets.randbelow(1 << _NUMBER_BITS)


def note_id(name: str, photo: str, tag: str) -> str:
    """The id of a note, from the hashes in hex."""
    return f"{name}-{photo}-{tag}"


def as_body(number: int, name: str, photo: str, tag: str, outcome: str, detail: str) -> dict[str, Any]:
    """A note as its document; hashes in hex."""
    held = {"outcome": outcome, "detail": detail}
    return {"kind": "note", "number": number, "name": name, "photo": photo, "tag": tag, "held": held}


def write(store: Store, head: Head, name: str, notes: Sequence[PhotoNote], tag: str) -> None:
    """See `Gallery.note_photos`."""
    hashed, tagged = name_hash(head.key, name).hex(), keyed_hash(head.key, "tag", tag).hex()
    bodies: dict[str, dict[str, Any]] = {}
    first = new_number()
    for at, note in enumerate(notes):
        photo = photo_hash(head.key, note.photo_sha256).hex()
        bodies[note_id(hashed, photo, tagged)] = as_body(first + at, hashed, photo, tagged, note.outcome, note.detail)
    there = store.get_many([(store.notes, id_) for id_ in bodies], fields=["held"])
    same = {kept.id for kept in there if kept is not None and kept.body["held"] == bodies[kept.id]["held"]}
    bulk.write(
        store.cluster, [Action("index", store.notes, id_, body) for id_, body in bodies.items() if id_ not in same]
    )


def read(store: Store, head: Head, name: str, sha256s: Sequence[str], tag: str) -> dict[str, PhotoNote]:
    """See `Gallery.noted_photos`."""
    hashed, tagged = name_hash(head.key, name).hex(), keyed_hash(head.key, "tag", tag).hex()
    ids = [note_id(hashed, photo_hash(head.key, sha256).hex(), tagged) for sha256 in sha256s]
    there = store.get_many([(store.notes, id_) for id_ in ids], fields=["held"])
    return {
        sha256: PhotoNote(sha256, kept.body["held"]["outcome"], kept.body["held"]["detail"])
        for sha256, kept in zip(sha256s, there, strict=True)
        if kept is not None
    }


def of_name(store: Store, head: Head, name: str) -> list[tuple[str, dict[str, Any]]]:
    """All notes on a name's photos, oldest first: ids and documents."""
    store.refresh(store.notes)
    query = {"bool": {"filter": [{"term": {"name": {"value": name_hash(head.key, name).hex()}}}]}}
    return [(hit["_id"], hit["_source"]) for hit in store.pages(store.notes, query, ("number",), size=1_000)]


def read_all(store: Store, head: Head, name: str) -> list[PhotoNote]:
    """See `Gallery.notes_on`; the photos' own digests are not kept."""
    return [PhotoNote("", body["held"]["outcome"], body["held"]["detail"]) for _, body in of_name(store, head, name)]


def moving(store: Store, head: Head, old_name: str, new_name: str) -> list[Action]:
    """What lets the notes on one name's photos follow to another name; of two on one photo the other name's stays."""
    old, new = name_hash(head.key, old_name).hex(), name_hash(head.key, new_name).hex()
    if old == new:
        return []
    actions: list[Action] = []
    for _, body in of_name(store, head, old_name):
        there = note_id(new, body["photo"], body["tag"])
        actions.append(Action("create", store.notes, there, {**body, "name": new}))
    return actions + erasing(store, head, old_name)


def erasing(store: Store, head: Head, name: str) -> list[Action]:
    """What erases the notes on a name's photos, as they are now: one that is made anew meanwhile stays."""
    there = store.get_many([(store.notes, id_) for id_, _ in of_name(store, head, name)], fields=["kind"])
    return [Action("delete", store.notes, kept.id, None, kept.seen) for kept in there if kept is not None]
