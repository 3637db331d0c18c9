"""Erasing people and faces on Elasticsearch: documents, indexes with them, and every snapshot remembered.

What is still to be erased from snapshots stands in documents of its own (`meta/pending-N`), which are part of the
change that erases: a process killed half-way leaves them, and the next removal, check or opening finishes the work.
Where a snapshot lies on another machine, they wait for somebody there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from likeness.errors import LikenessError, PersonNotFound
from likeness.gallery.base import Erased
from likeness.gallery.elastic import faces, notes, people
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.changes import Change, Changes, Plan
from likeness.gallery.elastic.leases import Held, Lease
from likeness.gallery.elastic.store import Overtaken, Store
from likeness.gallery.embedded.erasure import Reached, Task, erase_in_snapshot
from likeness.gallery.identity import name_hash
from likeness.gallery.snapshots import is_elsewhere, raise_all

_PENDING: dict[str, Any] = {"bool": {"filter": [{"term": {"kind": {"value": "pending"}}}]}}


def erase_person(store: Store, changes: Changes, maintenance: Lease, person_id: str) -> Erased:
    """Erase a person with everything that is theirs; returns what was reached.

    Raises:
        PersonNotFound: nobody has that id.
        StorageError: erased here, but not in a snapshot; the message names it.
    """
    with maintenance.hold() as held:
        with changes.begin() as change:
            head, record = people.by_id(store, person_id)
            erased = sorted(faces.ids_of(store, head, person_id))
            name = record.person.name
            plan = Plan(faces=-len(erased))
            people.bury(store, plan, record)
            plan.old += faces.erasing(store, head.indexes, erased) + notes.erasing(store, head, name)
            hashed = name_hash(head.key, name)
            _note_pending(store, change, plan, held, Task(_with_merged(store, person_id), erased, [hashed]))
            change.commit(plan)
        reached = finish(store, held)
    return Erased(len(erased), tuple(reached.purged), tuple(reached.not_found))


def erase_face(store: Store, changes: Changes, maintenance: Lease, face_id: int) -> Erased:
    """Erase one face; its person stays. Returns what was reached.

    Raises:
        PersonNotFound: there is no such face.
        StorageError: erased here, but not in a snapshot; the message names it.
    """
    with maintenance.hold() as held:
        with changes.begin() as change:
            head = change.head
            kept = store.get(head.index, str(face_id))
            if kept is None or kept.body.get("change", head.committed + 1) > head.committed:
                raise PersonNotFound(f"there is no face {face_id} in the gallery")
            plan = Plan(faces=-1, old=faces.erasing(store, head.indexes, [face_id]))
            _note_pending(store, change, plan, held, Task([], [face_id], []))
            change.commit(plan)
        reached = finish(store, held)
    return Erased(1, tuple(reached.purged), tuple(reached.not_found))


def merge(store: Store, changes: Changes, maintenance: Lease, source_id: str, into_id: str) -> None:
    """See `Gallery.merge`."""
    with maintenance.hold() as held:
        with changes.begin() as change:
            head, source = people.by_id(store, source_id)
            _, into = people.by_id(store, into_id)
            theirs = faces.ids_of(store, head, source_id)
            places = set(faces.ids_of(store, head, into_id).values())
            doubles = [face for face, place in theirs.items() if place in places]
            moved = [face for face, place in theirs.items() if place not in places]
            plan = Plan(faces=-len(doubles))
            people.bury(store, plan, source, into=into_id)
            plan.old += faces.erasing(store, head.indexes, doubles)
            plan.old += faces.giving(store, head.indexes, moved, into_id)
            plan.old += notes.moving(store, head, source.person.name, into.person.name)
            _note_pending(store, change, plan, held, Task([], doubles, []))
            change.commit(plan)
        finish(store, held)


def _with_merged(store: Store, person_id: str) -> list[str]:
    """The person and all who were ever merged into them: older snapshots still know them apart."""
    found, new = [person_id], [person_id]
    while new:
        hits = store.pages(store.people, {"bool": {"filter": [{"terms": {"into": new}}]}}, ("id",), fields=("id",))
        new = [hit["_id"] for hit in hits]
        found += new
    return found


def _note_pending(store: Store, change: Change, plan: Plan, held: Held, task: Task) -> None:
    paths = [snapshot[0] for snapshot in held.body["snapshots"]]
    if paths and (task.people_ids or task.face_ids):
        body = {
            "kind": "pending",
            "paths": paths,
            "people": task.people_ids,
            "faces": task.face_ids,
            "names": [hashed.hex() for hashed in task.name_hashes],
        }
        plan.old.append(Action("create", store.meta, f"pending-{change.number}", body))


def pending(store: Store) -> list[tuple[str, dict[str, Any]]]:
    """What is still to be erased from snapshots: ids and documents.

    Raises:
        GalleryMissing: there is no gallery.
    """
    store.refresh(store.meta)
    try:
        hits = store.search(store.meta, query=_PENDING, size=1_000, track_total_hits=False)["hits"]["hits"]
    except Overtaken as error:
        raise store.missing() from error
    return [(hit["_id"], hit["_source"]) for hit in hits]


def finish(store: Store, held: Held) -> Reached:
    """Carry out what is pending on this machine. Called with the document of snapshots held.

    Raises:
        StorageError: a snapshot could not be reached.
    """
    reached, failures, left = Reached(), list[LikenessError](), set[str]()
    waiting = pending(store)
    for path, task in _tasks(waiting).items():
        held.renew()
        try:
            if not _erase_in(held, path, task, reached):
                left.add(path)
        except LikenessError as error:
            failures.append(error)
            left.add(path)
    _leave(store, waiting, left)
    raise_all(failures)
    return reached


def drop_pending(store: Store, path: str) -> None:
    """Nothing is to be erased from a snapshot any more: it is gone. Called with the document of snapshots held."""
    waiting = pending(store)
    _leave(store, waiting, {other for _, body in waiting for other in body["paths"]} - {path})


def _leave(store: Store, waiting: list[tuple[str, dict[str, Any]]], left: set[str]) -> None:
    """Of what is pending keep what is to be done in the snapshots that are left."""
    for id_, body in waiting:
        remaining = [path for path in body["paths"] if path in left]
        if not remaining:
            store.delete(store.meta, id_)
        elif remaining != body["paths"]:
            kept = store.get(store.meta, id_)
            if kept is not None:
                store.put(store.meta, id_, {**body, "paths": remaining}, seen=kept.seen)


def _tasks(waiting: list[tuple[str, dict[str, Any]]]) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for _, body in waiting:
        for path in body["paths"]:
            task = tasks.setdefault(path, Task())
            task.people_ids += body["people"]
            task.face_ids += body["faces"]
            task.name_hashes += [bytes.fromhex(hashed) for hashed in body["names"]]
    return tasks


def _erase_in(held: Held, path: str, task: Task, reached: Reached) -> bool:
    """Erase in one snapshot; false where it lies on another machine, and somebody there has to do it."""
    known = {snapshot[0]: snapshot for snapshot in held.body["snapshots"]}
    mount, host = (Path(known[path][1]), known[path][3]) if path in known else (None, "")
    if is_elsewhere(path, host):
        reached.not_found.append(f"{host}:{path}")
        return False
    if not erase_in_snapshot(Path(path), mount, task, reached):
        held.write(snapshots=[snapshot for snapshot in held.body["snapshots"] if snapshot[0] != path])
    return True
