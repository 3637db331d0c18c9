"""Erasing people and faces on PostgreSQL: the rows, the index with them, and every snapshot remembered.

The rows go first, in the transaction that also notes what is still to be erased elsewhere (`gallery_pending`): where a
snapshot lies on another machine, the note waits until somebody there erases, checks or opens the gallery.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import Connection, text

from likeness.errors import LikenessError, PersonNotFound
from likeness.gallery.base import Erased
from likeness.gallery.embedded.erasure import Reached, Task, erase_in_snapshot
from likeness.gallery.identity import name_hash
from likeness.gallery.postgres import faces, notes, people
from likeness.gallery.postgres.server import Server, State, vectors_tables
from likeness.gallery.snapshots import is_elsewhere, raise_all

_MERGED = """
WITH RECURSIVE them (id) AS (SELECT CAST(:id AS text) COLLATE "C" UNION
  SELECT source_id FROM gallery_merged JOIN them ON into_id = them.id WHERE gallery = :gallery)
SELECT id FROM them
"""


def erase_person(server: Server, gallery: int, person_id: str) -> Erased:
    """Erase a person with everything that is theirs; returns what was reached.

    Raises:
        PersonNotFound: nobody has that id.
        StorageError: erased here, but not in a snapshot; the message names it.
    """

    def work(connection: Connection, state: State) -> int:
        record = people.find_by_id(connection, state, person_id)
        hashed = name_hash(state.salt, record.person.name)
        everybody = [row[0] for row in connection.execute(text(_MERGED), {"id": person_id, "gallery": state.id})]
        erased = _faces_of(connection, record.key)
        _erase_faces(connection, state, erased)
        notes.erase(connection, state, hashed)
        connection.execute(text("DELETE FROM gallery_people WHERE key = :key"), {"key": record.key})
        _note_pending(connection, state, Task(everybody, erased, [hashed]))
        return len(erased)

    with server.maintenance(gallery):
        count = server.write(work)
        reached = finish(server)
    return Erased(count, tuple(reached.purged), tuple(reached.not_found))


def erase_face(server: Server, gallery: int, face_id: int) -> Erased:
    """Erase one face; its person stays. Returns what was reached.

    Raises:
        PersonNotFound: there is no such face.
        StorageError: erased here, but not in a snapshot; the message names it.
    """

    def work(connection: Connection, state: State) -> None:
        if not _erase_faces(connection, state, [face_id]):
            raise PersonNotFound(f"there is no face {face_id} in the gallery")
        _note_pending(connection, state, Task([], [face_id], []))

    with server.maintenance(gallery):
        server.write(work)
        reached = finish(server)
    return Erased(1, tuple(reached.purged), tuple(reached.not_found))


def merge(server: Server, gallery: int, source_id: str, into_id: str) -> None:
    """See `Gallery.merge`."""

    def work(connection: Connection, state: State) -> None:
        source, into = (people.find_by_id(connection, state, one) for one in (source_id, into_id))
        doubles = connection.execute(
            text(
                "SELECT a.id FROM gallery_faces a JOIN gallery_faces b "
                "ON b.photo_hash = a.photo_hash AND b.face_index = a.face_index "
                "WHERE a.person = :source AND b.person = :into"
            ),
            {"source": source.key, "into": into.key},
        )
        dropped = [row[0] for row in doubles]
        _erase_faces(connection, state, dropped)
        keys = {"source": source.key, "into": into.key}
        connection.execute(text("UPDATE gallery_faces SET person = :into WHERE person = :source"), keys)
        for table in (state.vectors, *([state.vectors_next] if state.reembedding else [])):
            connection.execute(text(f"UPDATE {table} SET person = :into WHERE person = :source"), keys)  # noqa: S608
        notes.move(connection, state, source.person.name, into.person.name)
        connection.execute(text("DELETE FROM gallery_people WHERE key = :source"), keys)
        connection.execute(
            text("INSERT INTO gallery_merged VALUES (:gallery, :source, :into)"),
            {"gallery": state.id, "source": source_id, "into": into_id},
        )
        _note_pending(connection, state, Task([], dropped, []))

    with server.maintenance(gallery):
        server.write(work)
        finish(server)


def _faces_of(connection: Connection, person: int) -> list[int]:
    rows = connection.execute(text("SELECT id FROM gallery_faces WHERE person = :person"), {"person": person})
    return [row[0] for row in rows]


def _erase_faces(connection: Connection, state: State, face_ids: Sequence[int]) -> int:
    """Erase faces, and their vectors wherever there are any; returns how many there were."""
    if not face_ids:
        return 0
    for table in vectors_tables(connection, state):
        connection.execute(text(f"DELETE FROM {table} WHERE face = ANY (:ids)"), {"ids": list(face_ids)})  # noqa: S608
    erased = connection.execute(
        text("DELETE FROM gallery_faces WHERE gallery = :gallery AND id = ANY (:ids)"),
        {"gallery": state.id, "ids": list(face_ids)},
    ).rowcount
    faces.count_faces(connection, state, -erased)
    return erased


def _note_pending(connection: Connection, state: State, task: Task) -> None:
    rows = connection.execute(text("SELECT path FROM gallery_snapshots WHERE gallery = :id"), {"id": state.id})
    for (path,) in rows.all():
        for column, values in (
            ("person_id", task.people_ids),
            ("face", task.face_ids),
            ("name_hash", task.name_hashes),
        ):
            if values:
                connection.execute(
                    text(f"INSERT INTO gallery_pending (gallery, path, {column}) VALUES (:gallery, :path, :value)"),  # noqa: S608
                    [{"gallery": state.id, "path": path, "value": value} for value in values],
                )


def tasks(connection: Connection, state: State) -> dict[str, Task]:
    """Snapshot → what is still to be erased there."""
    found: dict[str, Task] = {}
    rows = connection.execute(
        text(
            "SELECT number, path, person_id, face, name_hash FROM gallery_pending WHERE gallery = :gallery "
            "ORDER BY number"
        ),
        {"gallery": state.id},
    )
    for number, path, person_id, face, hashed in rows:
        task = found.setdefault(path, Task())
        task.last = number
        if person_id is not None:
            task.people_ids.append(person_id)
        if face is not None:
            task.face_ids.append(face)
        if hashed is not None:
            task.name_hashes.append(bytes(hashed))
    return found


def finish(server: Server) -> Reached:
    """Carry out what is pending on this machine. Called with the maintenance lock held.

    Raises:
        StorageError: a snapshot could not be reached.
    """
    todo = server.read(tasks)
    reached, failures = Reached(), []
    for path, task in todo.items():
        try:
            _erase_in(server, path, task, reached)
        except LikenessError as error:
            failures.append(error)
    raise_all(failures)
    return reached


def _erase_in(server: Server, path: str, task: Task, reached: Reached) -> None:
    def place(connection: Connection, state: State) -> tuple[str, str] | None:
        row = connection.execute(
            text("SELECT mount, host FROM gallery_snapshots WHERE gallery = :gallery AND path = :path"),
            {"gallery": state.id, "path": path},
        ).first()
        return None if row is None else (row[0], row[1])

    found = server.read(place)
    if found is not None and is_elsewhere(path, found[1]):
        reached.not_found.append(f"{found[1]}:{path}")  # it stays noted: somebody on that machine will do it
        return
    known = erase_in_snapshot(Path(path), None if found is None else Path(found[0]), task, reached)

    def done(connection: Connection, state: State) -> None:
        values = {"gallery": state.id, "path": path, "last": task.last}
        connection.execute(
            text("DELETE FROM gallery_pending WHERE gallery = :gallery AND path = :path AND number <= :last"), values
        )
        if not known:
            connection.execute(text("DELETE FROM gallery_snapshots WHERE gallery = :gallery AND path = :path"), values)

    server.append(done)
