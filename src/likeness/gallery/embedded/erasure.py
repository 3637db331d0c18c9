"""Erasing people and faces everywhere: the record, its log, the index file, every snapshot remembered.

The record is erased first, in the transaction that also notes what is still to be erased elsewhere
(`pending`): a process killed half-way leaves a note behind, and the next removal, check or opening finishes
the work.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from likeness.errors import LikenessError, PersonNotFound, StorageError
from likeness.gallery.base import Erased
from likeness.gallery.embedded import ann, compaction, people
from likeness.gallery.embedded.schema import blank, expect_gallery, set_meta
from likeness.gallery.embedded.sealed import rebind
from likeness.gallery.embedded.storage import Store
from likeness.gallery.identity import name_hash
from likeness.gallery.snapshots import UNFINISHED, discard_unfinished, mount_of
from likeness.sqlite import BUSY_TIMEOUT_S, connect, mapped_errors, transaction, truncate_log

_LOG, _INDEX = "log", "index"
_KEPT_CHANGES = 100_000


def erase_person(store: Store, salt: bytes, person_id: str) -> Erased:
    """Erase a person with everything that is theirs; returns what was reached.

    Raises:
        PersonNotFound: nobody has that id.
        StorageError: erased here, but not everywhere; the message names the places.
    """
    with store.maintenance():
        with store.write() as connection:
            name = name_hash(salt, people.find_by_id(connection, person_id).person.name)
            everybody = with_merged(connection, person_id)
            face_ids = erase_rows(connection, people_ids=everybody, face_ids=(), name_hashes=(name,))
            _note_pending(store, connection, people_ids=everybody, face_ids=face_ids, name_hashes=(name,))
        reached = finish(store)
    return Erased(len(face_ids), tuple(reached.purged), tuple(reached.not_found))


def erase_face(store: Store, face_id: int) -> Erased:
    """Erase one face; its person stays. Returns what was reached.

    Raises:
        PersonNotFound: there is no such face.
        StorageError: erased here, but not everywhere; the message names the places.
    """
    with store.maintenance():
        with store.write() as connection:
            if not erase_rows(connection, people_ids=(), face_ids=(face_id,)):
                raise PersonNotFound(f"there is no face {face_id} in the gallery")
            _note_pending(store, connection, people_ids=(), face_ids=(face_id,))
        reached = finish(store)
    return Erased(1, tuple(reached.purged), tuple(reached.not_found))


def erase_rows(
    connection: sqlite3.Connection,
    *,
    people_ids: Iterable[str],
    face_ids: Iterable[int],
    name_hashes: Iterable[bytes] = (),
) -> list[int]:
    """Erase people with what is theirs, faces, and notes by name from one file; returns the faces' ids."""
    for hashed in name_hashes:
        people.erase_notes(connection, hashed)
    found: list[int] = []
    for person_id in people_ids:
        row = connection.execute("SELECT key, facts, name_hash FROM people WHERE id = ?", (person_id,)).fetchone()
        if row is not None:
            found += [face for (face,) in connection.execute("SELECT id FROM faces WHERE person = ?", row[:1])]
            _erase_faces(connection, found)
            blank(connection, "facts", [row[1]])
            people.erase_notes(connection, row[2])
            connection.execute("DELETE FROM people WHERE key = ?", row[:1])
    single = [face for face in face_ids if connection.execute("SELECT 1 FROM faces WHERE id = ?", (face,)).fetchone()]
    _erase_faces(connection, single)
    return found + single


def _erase_faces(connection: sqlite3.Connection, face_ids: Sequence[int]) -> None:
    for table in ("vectors", "vectors_next", "pictures"):
        blank(connection, table, face_ids)
    rows = [(face,) for face in face_ids]
    connection.executemany("DELETE FROM faces WHERE id = ?", rows)
    log_changes(connection, face_ids)


def log_changes(connection: sqlite3.Connection, face_ids: Iterable[int]) -> None:
    """Tell other processes that faces were erased or given to others."""
    connection.executemany("INSERT INTO changes (face) VALUES (?)", ((face,) for face in face_ids))
    connection.execute("DELETE FROM changes WHERE seq <= (SELECT max(seq) FROM changes) - ?", (_KEPT_CHANGES,))


def merge(store: Store, salt: bytes, source_id: str, into_id: str) -> None:
    """See `Gallery.merge`."""
    with store.maintenance():
        with store.write() as connection:
            source, into = people.find_by_id(connection, source_id), people.find_by_id(connection, into_id)
            doubles = connection.execute(
                "SELECT a.id FROM faces a JOIN faces b "
                "ON b.photo_hash = a.photo_hash AND b.face_index = a.face_index "
                "WHERE a.person = ? AND b.person = ?",
                (source.key, into.key),
            ).fetchall()
            dropped = [row[0] for row in doubles]
            _erase_faces(connection, dropped)
            moved = [row[0] for row in connection.execute("SELECT id FROM faces WHERE person = ?", (source.key,))]
            rebind(connection, moved, source.key, into.key)
            connection.execute("UPDATE faces SET person = ? WHERE person = ?", (into.key, source.key))
            log_changes(connection, moved)
            people.move_notes(connection, salt, source.person.name, into.person.name)
            blank(connection, "facts", [source.facts])
            connection.execute("DELETE FROM people WHERE key = ?", (source.key,))
            connection.execute("INSERT INTO merged VALUES (?, ?)", (source_id, into_id))
            _note_pending(store, connection, people_ids=(), face_ids=dropped)
        finish(store)


def with_merged(connection: sqlite3.Connection, person_id: str) -> list[str]:
    """The person and all who were ever merged into them: older snapshots still know them apart."""
    rows = connection.execute(
        "WITH RECURSIVE them (id) AS (VALUES (?) UNION "
        "SELECT source_id FROM merged JOIN them ON into_id = them.id) SELECT id FROM them",
        (person_id,),
    )
    return [row[0] for row in rows]


def _note_pending(
    store: Store,
    connection: sqlite3.Connection,
    *,
    people_ids: Sequence[str],
    face_ids: Sequence[int],
    name_hashes: Sequence[bytes] = (),
) -> None:
    places = [row[0] for row in connection.execute("SELECT path FROM snapshots")]
    connection.execute("INSERT INTO pending (place) VALUES (?)", (_LOG,))
    if ann.read_tag(connection) is not None or ann.index_path(store.path).exists():
        places.append(_INDEX)
    for place in places:
        for column, values in (("person_id", people_ids), ("face", face_ids), ("name_hash", name_hashes)):
            connection.executemany(
                f"INSERT INTO pending (place, {column}) VALUES (?, ?)",  # noqa: S608 - the columns above
                ((place, value) for value in values),
            )


@dataclass(slots=True)
class Task:
    """What is still to be erased in one place."""

    people_ids: list[str] = field(default_factory=list)
    face_ids: list[int] = field(default_factory=list)
    name_hashes: list[bytes] = field(default_factory=list)
    last: int = 0


def tasks(connection: sqlite3.Connection) -> dict[str, Task]:
    """Place → what is still to be erased there."""
    found: dict[str, Task] = {}
    rows = connection.execute("SELECT id, place, person_id, face, name_hash FROM pending ORDER BY id")
    for number, place, person_id, face, hashed in rows:
        task = found.setdefault(place, Task())
        task.last = number
        for values, value in (
            (task.people_ids, person_id),
            (task.face_ids, face),
            (task.name_hashes, hashed),
        ):
            if value is not None:
                values.append(value)
    return found


@dataclass(slots=True)
class Reached:
    """The snapshots that what was pending was erased from, and those that are not where they were made."""

    purged: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)


def finish(store: Store, *, limit_s: float | None = None) -> Reached:
    """Carry out what is pending, everywhere that can be reached. Called with the maintenance lock held.

    It waits for others as long as the store does, in each place; with `limit_s` that long in all.

    Raises:
        StorageError: some places could not be reached (or `GalleryBusy` and others of its kind, where that is
        all).
    """
    with store.read() as connection:
        todo, compaction_due = tasks(connection), compaction.is_due(connection)
    ann.clear_unfinished(store)
    deadline = None if limit_s is None else time.monotonic() + limit_s
    failures: list[LikenessError] = []
    reached = Reached()
    for place, task in todo.items():
        patience = nullcontext() if deadline is None else store.patience(max(0.0, deadline - time.monotonic()))
        try:
            with patience:
                _erase_in(store, place, task, reached, compaction_due=compaction_due)
                with store.write() as connection:
                    connection.execute("DELETE FROM pending WHERE place = ? AND id <= ?", (place, task.last))
        except LikenessError as error:
            failures.append(error)
    if len(failures) == 1 and not reached.not_found:
        raise failures[0]
    if failures:
        said = [error.message for error in failures]
        said += [f"no snapshot found at {path}: a copy that was moved is out of reach" for path in reached.not_found]
        kind = type(failures[0]) if len(failures) == 1 else StorageError
        raise kind("; ".join(said), hint=failures[0].hint)
    return reached


def _erase_in(store: Store, place: str, task: Task, reached: Reached, *, compaction_due: bool) -> None:
    if place == _LOG and compaction_due:
        compaction.compact(store)
    elif place == _LOG:
        store.truncate_log()
    elif place == _INDEX:
        ann.erase(store, task.face_ids)
    else:
        _erase_in_snapshot(store, Path(place), task, reached)


def _erase_in_snapshot(store: Store, path: Path, task: Task, reached: Reached) -> None:
    with store.read() as connection:
        row = connection.execute("SELECT mount FROM snapshots WHERE path = ?", (str(path),)).fetchone()
    mount = None if row is None else Path(row[0])
    if not erase_in_snapshot(path, mount, task, reached, busy_timeout_s=store.busy_timeout_s):
        with store.write() as connection:  # deleted or moved, which cannot be told apart: said, and no longer known
            connection.execute("DELETE FROM snapshots WHERE path = ?", (str(path),))


def erase_in_snapshot(
    path: Path, mount: Path | None, task: Task, reached: Reached, *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> bool:
    """Erase from a snapshot, made by whichever engine; false where there is no file at its place any more.

    `mount` is the file system on which it was made. Called with the lock held that whoever makes a snapshot holds.

    Raises:
        StorageError: it is there, but cannot be reached or changed; the message names it.
    """
    unfinished = path.name.endswith(UNFINISHED)
    if unfinished:  # its maker was killed: whoever makes one holds the lock that is held here
        discard_unfinished(path)
    if not _reachable(path):
        if mount is not None and mount != mount_of(path):
            raise StorageError(
                f"erased, but not from the snapshot {path}, which cannot be reached: {mount} is not mounted",
                hint="mount it and run the check, which finishes the erasure",
            )
        if not unfinished:
            reached.not_found.append(str(path))
        return False
    try:
        _erase_in_file(path, task, busy_timeout_s)
    except LikenessError as error:
        raise type(error)(
            f"erased, but not from the snapshot {path}: {error.message}",
            hint="make it writable, or delete it, and run the check, which finishes the erasure",
        ) from error
    reached.purged.append(str(path))
    return True


def _reachable(path: Path) -> bool:
    with mapped_errors(path):
        return path.exists()


def _erase_in_file(path: Path, task: Task, busy_timeout_s: float) -> None:
    with mapped_errors(path):
        expect_gallery(path)
        connection = connect(path, busy_timeout_s=busy_timeout_s)
        try:
            with transaction(connection):
                erase_rows(
                    connection,
                    people_ids=task.people_ids,
                    face_ids=task.face_ids,
                    name_hashes=task.name_hashes,
                )
                set_meta(connection, index=None)
            # Somebody may have opened the snapshot as a gallery and built an index for it: that can be made again.
            ann.delete_files(path)
            truncate_log(connection, path, busy_timeout_s)
        finally:
            connection.close()
