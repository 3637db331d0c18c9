"""Tables of the embedded gallery, their versions, and opening a file as one.

How erased bytes stay erased: SQLite's `secure_delete` zeroes what is deleted, but not the copies that it
leaves behind when it has moved a row to make room. So all that identifies somebody lives in five tables whose
rows never move (`SECRET`): they are only appended, and erased by overwriting their bytes in place with zeros
of the same length. Every other table, and every index, holds numbers, random ids and keyed hashes only.
`compact` drops the zeroed rows.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from likeness.errors import GalleryCorrupt, GalleryMissing, StorageError
from likeness.sqlite import connect, is_readonly, mapped_errors, transaction

APPLICATION_ID = 0x4C4B4E53
"""`LKNS`, in the header of every gallery file: how one is told from other SQLite files."""

SECRET: dict[str, tuple[str, ...]] = {
    "facts": ("name", "name_key", "profile", "consent_basis", "consent_at", "consent_source", "retain_until"),
    "vectors": ("vector",),
    "vectors_next": ("vector",),
    "pictures": ("photo_sha256", "source", "box", "landmarks", "crop"),
    "notes": ("outcome", "detail"),
}
"""Tables with identifying contents, and the columns that erasing zeroes."""

_FIRST = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE people (
  key INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name_hash BLOB NOT NULL UNIQUE,
  created_at TEXT NOT NULL, facts INTEGER NOT NULL);
CREATE TABLE facts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, name_key TEXT, profile TEXT,
  consent_basis TEXT, consent_at TEXT, consent_source TEXT, retain_until TEXT);
CREATE TABLE faces (
  id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL REFERENCES people (key),
  photo_hash BLOB NOT NULL, face_index INTEGER NOT NULL, quality REAL NOT NULL, created_at TEXT NOT NULL,
  UNIQUE (person, photo_hash, face_index));
CREATE INDEX faces_by_photo ON faces (photo_hash);
CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB);
CREATE TABLE vectors_next (id INTEGER PRIMARY KEY, vector BLOB);
CREATE TABLE pictures (
  id INTEGER PRIMARY KEY, photo_sha256 TEXT, source TEXT, box BLOB, landmarks BLOB, crop BLOB);
CREATE TABLE notes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name_hash BLOB NOT NULL, photo_hash BLOB NOT NULL,
  tag_hash BLOB NOT NULL, outcome TEXT, detail TEXT, UNIQUE (name_hash, photo_hash, tag_hash));
CREATE TABLE merged (source_id TEXT PRIMARY KEY, into_id TEXT NOT NULL);
CREATE INDEX merged_into ON merged (into_id);
CREATE TABLE changes (seq INTEGER PRIMARY KEY AUTOINCREMENT, face INTEGER NOT NULL);
CREATE TABLE snapshots (path TEXT PRIMARY KEY, mount TEXT NOT NULL, created_at TEXT NOT NULL);
CREATE TABLE pending (
  id INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL, person_id TEXT, face INTEGER,
  name_hash BLOB);
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, actor TEXT NOT NULL, action TEXT NOT NULL,
  person_id TEXT, details TEXT NOT NULL, hash TEXT NOT NULL);
CREATE TRIGGER events_are_not_changed BEFORE UPDATE ON events
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
CREATE TRIGGER events_are_not_deleted BEFORE DELETE ON events
  BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END;
"""

MIGRATIONS: tuple[str, ...] = (_FIRST,)
"""Step i brings a file from version i to i + 1. Steps that were released are never edited: add another."""


def get_meta(connection: sqlite3.Connection, key: str) -> object:
    """A value of the table `meta`; None where there is no such key."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else row[0]


def get_dimension(connection: sqlite3.Connection, path: Path) -> int:
    """How many numbers a vector of the gallery has.

    Raises:
        GalleryCorrupt: it does not say.
    """
    stated = get_meta(connection, "dimension")
    try:
        return int(str(stated))
    except ValueError:
        raise GalleryCorrupt(
            f"{path} is damaged: it does not say how long its vectors are", hint="restore a snapshot of it"
        ) from None


@contextmanager
def read_row(table: str, number: int) -> Iterator[None]:
    """Tell values that SQLite takes for whole and that mean nothing as the damage that they are.

    Raises:
        GalleryCorrupt: the values of the row are none of ours.
    """
    try:
        yield
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise GalleryCorrupt(
            f"the gallery is damaged: row {number} of its {table} means nothing", hint="restore a snapshot of it"
        ) from error


def set_meta(connection: sqlite3.Connection, **values: object) -> None:
    """Write values of the table `meta`; None deletes."""
    for key, value in values.items():
        if value is None:
            connection.execute("DELETE FROM meta WHERE key = ?", (key,))
        else:
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))


def last_number(connection: sqlite3.Connection, table: str) -> int:
    """The highest number that an AUTOINCREMENT table has ever given out."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 0 if row is None else int(row[0])


def count_changes(connection: sqlite3.Connection) -> int:
    """A number that grows with every change of people, faces, vectors or what is stated; events and notes do not count.

    Each of these numbers only ever grows, and each kind of change makes one of them grow: so does their sum.
    """
    given = sum(last_number(connection, table) for table in ("people", "faces", "facts", "changes", "pending"))
    return given + int(str(get_meta(connection, "generation")))


def blank(connection: sqlite3.Connection, table: str, ids: Iterable[int]) -> None:
    """Overwrite the secrets of rows with zeros of the same length: of the same size, a row stays in place."""
    zeros = ", ".join(f"{column} = zeroblob(length(CAST({column} AS BLOB)))" for column in SECRET[table])
    connection.executemany(
        f"UPDATE {table} SET {zeros} WHERE id = ?",  # noqa: S608 - names of the tables above
        ((number,) for number in ids),
    )


def prepare(
    path: Path, *, space: str | None, dimension: int | None, create: bool, secret: Callable[[], Mapping[str, object]]
) -> bool:
    """Create the gallery, or bring it to the current version; returns whether it may only be read.

    `secret` gives a new gallery's meta values that have to do with secrets (`likeness.gallery.embedded.sealed.fresh`).

    Raises:
        GalleryMissing: there is none, and `create` is false or the space was not stated.
        GalleryCorrupt: there is something else at that path.
    """
    with mapped_errors(path):
        if path.is_dir():
            raise GalleryCorrupt(f"{path} is a folder, not a gallery file")
        new = not path.exists() or path.stat().st_size == 0
        if not new:
            new = _was_left_unfinished(path)
        if new:
            if not create:
                raise GalleryMissing(f"there is no gallery at {path}", hint="enrol somebody, which creates it")
            if space is None or dimension is None:
                raise GalleryMissing(
                    f"there is no gallery at {path}, and a new one needs the space and dimension of its embeddings",
                    hint="open_gallery(path, space=recognizer.space, dimension=recognizer.dimension)",
                )
            if dimension < 1:
                raise ValueError(f"expected a dimension of at least 1, got {dimension}")
            path.parent.mkdir(parents=True, exist_ok=True)
            _create(path, {"space": space, "dimension": dimension, "generation": 1, **secret()})
        readonly = is_readonly(path)
        log = Path(f"{path}-wal")
        if readonly and log.exists() and log.stat().st_size and not os.access(log, os.W_OK):
            raise StorageError(
                f"{path} may only be read, and its log {log.name} holds changes that are not in it yet",
                hint="open it once where it may be written",
            )
        expect_gallery(path, readonly=readonly)
        return readonly


def _create(path: Path, meta: Mapping[str, object]) -> None:
    connection = connect(path)
    try:
        path.chmod(0o600)  # biometric data: the owner's alone
        connection.execute("PRAGMA journal_mode=WAL")
        with transaction(connection):
            if connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID:
                return  # another process was faster
            _migrate(connection, 0)
            set_meta(connection, **meta)
            connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    finally:
        connection.close()


def _was_left_unfinished(path: Path) -> bool:
    """Whether the file is a database without any table: one whose creation was interrupted.

    SQLite itself looks at the file: see `likeness.private.make_private` for why nobody else may open it.

    Raises:
        GalleryCorrupt: it is no database.
    """
    connection = connect(path, readonly=True)
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables == 0 and connection.execute("PRAGMA application_id").fetchone()[0] in (
            0,
            APPLICATION_ID,
        )
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        hint = "give the path of a gallery, or a new path"
        raise GalleryCorrupt(f"{path} is not a gallery file", hint=hint) from error
    finally:
        connection.close()


def expect_gallery(path: Path, *, readonly: bool = False) -> None:
    """Raise unless the file is a gallery of a version that is known; an older one is migrated."""
    connection = connect(path, readonly=readonly)
    try:
        if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise GalleryCorrupt(f"{path} is a database of another program, not a gallery")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise StorageError(
                f"{path} was written by a newer Likeness (version {version}, known: {len(MIGRATIONS)})",
                hint="upgrade Likeness",
            )
        if version < len(MIGRATIONS) and not readonly:
            with transaction(connection):
                # Read again: another process may have migrated it while this one waited for the lock.
                _migrate(connection, int(connection.execute("PRAGMA user_version").fetchone()[0]))
        if not readonly and connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            connection.execute("PRAGMA journal_mode=WAL")  # a snapshot, opened as a gallery
    finally:
        connection.close()


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for step in MIGRATIONS[version:]:
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")


def _statements(script: str) -> Iterable[str]:
    """The statements of a script; `executescript` would commit the transaction around them."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
