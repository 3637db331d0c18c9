"""A gallery's contents on Elasticsearch on their way to another gallery, and another's on their way in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from likeness.errors import Conflict, SpaceMismatch
from likeness.gallery.elastic import audit, bulk, faces, layout, notes, people
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.changes import GONE, Change
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.leases import Held as HeldCopies
from likeness.gallery.elastic.store import COPIES, TRAIL, Pit, Store
from likeness.gallery.identity import photo_hash
from likeness.gallery.transfer import (
    FIRST,
    PARTS,
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

_Told = TypeVar("_Told")


@dataclass(frozen=True, slots=True)
class View:
    """What is read: the gallery as it is, or points in time of it; and how many lines of the trail there are."""

    store: Store
    head: Head
    people: str | Pit
    faces: str | Pit
    notes: str | Pit
    lines: int

    def outline(self, *, unfinished: bool) -> Outline:
        """See `Transferable.outline`."""
        head = self.head
        return Outline(
            space=head.space,
            dimension=head.dimension,
            maker=head.maker,
            salt=head.key,
            changes=head.committed,
            last_face_id=head.last_face,
            unfinished=unfinished,
        )

    def held(self, part: Part) -> Held:
        """See `Transferable.held`.

        While contents come in, only rows count up to which all are here: a bulk request may have been taken in part.
        """
        if part == "events":
            return Held(self.lines, self.lines)
        if part == "snapshots":
            paths = [kept.path for kept in _snapshots(self.store)]
            return Held(len(paths), max(paths, default=FIRST[part]))
        place, key, filters = self._of(part)
        if self.head.importing is not None:
            return self._come(part, place, key, filters)
        answer = self.store.search(
            place,
            query={"bool": {"filter": filters}},
            sort=[{key: "desc"}],
            size=1,
            source={"includes": [key]},
            track_total_hits=True,
        )
        hits = answer["hits"]
        return Held(hits["total"]["value"], hits["hits"][0]["sort"][0] if hits["hits"] else FIRST[part])

    def _come(self, part: Part, place: str | Pit, key: str, filters: list[dict[str, Any]]) -> Held:
        last = self.head.came.get(part, FIRST[part])
        rows = self.store.count(place, {"bool": {"filter": [*filters, {"range": {key: {"lte": last}}}]}})
        if part == "people":  # nobody has come whose name would not find them
            named = [{"term": {"kind": {"value": "name"}}}, {"range": {"person": {"lte": last}}}]
            rows = min(rows, self.store.count(place, {"bool": {"filter": named}}))
        return Held(rows, last if rows else FIRST[part])

    def export(self, part: Part, after: Key, limit: int) -> Rows:
        """See `Transferable.export`."""
        if part == "events":
            lines = audit.sealed_lines(self.store, after=int(after), limit=min(limit, max(0, self.lines - int(after))))
            return Rows(events=[Sealed(line, seal) for line, seal in lines])
        if part == "snapshots":
            kept = sorted(one for one in _snapshots(self.store) if one.path > str(after))
            return Rows(snapshots=kept[:limit])
        place, key, filters = self._of(part)
        answer = self.store.search(
            place,
            query={"bool": {"filter": [*filters, {"range": {key: {"gt": after}}}]}},
            sort=[{key: "asc"}],
            size=limit,
            source={"includes": list(faces.FIELDS)} if part == "faces" else True,
            track_total_hits=False,
        )
        bodies = [hit["_source"] for hit in answer["hits"]["hits"]]
        if part == "people":
            found = [people.as_person(body) for body in bodies]
            return Rows(people=people.counted(self.store, self.head, found, self.faces))
        return _rows(part, bodies)

    def _of(self, part: Part) -> tuple[str | Pit, str, list[dict[str, Any]]]:
        """Where a part is, its key there, and what finds it."""
        visible = people.visible(self.head)
        if part == "people":
            return self.people, "id", [{"term": {"kind": {"value": "person"}}}, visible]
        if part == "merged":
            return self.people, "id", [{"exists": {"field": "into"}}]
        if part == "faces":
            return self.faces, "id", [{"term": {"kind": {"value": "face"}}}, visible]
        return self.notes, "number", [{"term": {"kind": {"value": "note"}}}]


def _rows(part: Part, bodies: list[dict[str, Any]]) -> Rows:
    if part == "merged":
        return Rows(merged=[Merged(body["id"], body["into"]) for body in bodies])
    if part == "faces":
        return Rows(faces=[faces.as_face(body) for body in bodies])
    return Rows(
        notes=[
            KeptNote(
                number=body["number"],
                name_hash=bytes.fromhex(body["name"]),
                photo_hash=bytes.fromhex(body["photo"]),
                tag_hash=bytes.fromhex(body["tag"]),
                outcome=body["held"]["outcome"],
                detail=body["held"]["detail"],
            )
            for body in bodies
        ]
    )


def _snapshots(store: Store) -> list[KeptSnapshot]:
    kept = store.get(store.meta, COPIES)
    return [KeptSnapshot(*snapshot) for snapshot in kept.body["snapshots"]] if kept else []


def _present(store: Store, head: Head) -> View:
    store.refresh(store.notes)
    return View(store, head, store.people, head.index, store.notes, audit.written(store))


def at_present(store: Store, read: Callable[[View], _Told]) -> _Told:
    """What is read of the gallery as it is, begun anew where its index of faces is replaced meanwhile."""
    return store.at_present(lambda head: read(_present(store, head)))


def begin(store: Store, change: Change, copies: HeldCopies, wanted: Outline) -> None:
    """See `Transferable.begin_import`."""
    head = change.head
    if (head.space, head.dimension) != (wanted.space, wanted.dimension):
        raise SpaceMismatch(
            f"the gallery holds {head.dimension}-dimensional vectors of {head.space!r}, not {wanted.dimension}-"
            f"dimensional ones of {wanted.space!r}",
            hint="name a gallery that is not there yet",
        )
    if head.importing == wanted.token():
        return
    if head.importing is None and _holds_something(store, head):
        raise Conflict(
            "the gallery that the contents should come into has some of its own",
            hint="name a gallery that is not there yet",
        )
    for index in (store.people, store.notes, store.audit, *head.indexes):
        layout.drop_index(store, index)
    layout.make_contents(store, head)
    trail = store.get(store.meta, TRAIL)
    store.put(store.meta, TRAIL, {"number": 0, "seal": None}, seen=trail.seen if trail else None)
    copies.write(snapshots=[])
    change.note(
        importing=wanted.token(),
        came={},
        salt=wanted.salt.hex(),
        maker=wanted.maker,
        last_face=wanted.last_face_id,
        faces=0,
        reembedding=None,
    )


def _holds_something(store: Store, head: Head) -> bool:
    view = _present(store, head)
    return any(view.held(part).rows for part in ("people", "faces", "notes", "events"))


def take_in(store: Store, change: Change, rows: Rows) -> None:
    """Write rows, all but snapshots, with the ids that they have; then note up to which key all have come.

    What is there already stays: so rows of which it is not known that they came may be sent again.
    """
    head = change.head
    if head.importing is None:
        raise Conflict("no gallery's contents are coming into this one", hint="begin the import first")
    bulk.write(store.cluster, _creating(store, head, rows), between=change.renew)
    store.refresh(store.people, head.index)  # what has come is counted and compared before the import ends
    if rows.events:
        last = rows.events[-1]
        audit.advance(store, last.line.number, last.seal)
    part = next((part for part in PARTS if getattr(rows, part)), None)
    if part is not None:
        came = max(head.came.get(part, FIRST[part]), rows.last())
        change.note(came={**head.came, part: came})


def _creating(store: Store, head: Head, rows: Rows) -> list[Action]:
    key = head.key
    actions: list[Action] = []
    for person in rows.people:
        people.expect_name_fits([person.name])
        actions.append(Action("create", store.people, person.id, people.as_body(replace(person, faces=0), 0)))
        body = {"kind": "name", "person": person.id, "change": 0}
        actions.append(Action("create", store.people, people.name_id(head, person.name), body))
    for face in rows.faces:
        body = faces.as_body(face, photo_hash(key, face.photo_sha256).hex(), 0)
        actions.append(Action("create", head.index, str(face.id), body))
    for source, into in rows.merged:
        actions.append(Action("create", store.people, source, {**GONE, "id": source, "into": into}))
    for note in rows.notes:
        hashes = (note.name_hash.hex(), note.photo_hash.hex(), note.tag_hash.hex())
        body = notes.as_body(note.number, *hashes, note.outcome, note.detail)
        actions.append(Action("create", store.notes, notes.note_id(*hashes), body))
    for line, seal in rows.events:
        actions.append(Action("create", store.audit, audit.line_id(line.number), audit.as_body(line, seal)))
    return actions


def end(store: Store, change: Change) -> None:
    """See `Transferable.end_import`."""
    view = _present(store, change.head)
    told: dict[str, Any] = {"importing": None, "came": {}, "faces": view.held("faces").rows}
    change.note(**told, change=change.number, committed=change.number)
