"""Where the bytes of a gallery lie, and which of them are one person's: for proving that they were erased."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from likeness.gallery.embedded import ann, people
from likeness.gallery.embedded.erasure import with_merged
from likeness.gallery.embedded.schema import SECRET, get_meta
from likeness.gallery.embedded.sealed import cells_of, read_sealing
from likeness.gallery.embedded.storage import Store
from likeness.sqlite import connect, mapped_errors

_ENDINGS = ("", "-wal", "-shm", "-journal", ".ann", ".ann.new", ".lock")
_TELLING = {
    "facts": ("name", "name_key", "profile"),
    "vectors": SECRET["vectors"],
    "vectors_next": SECRET["vectors_next"],
    "pictures": SECRET["pictures"],
}
"""Of plain rows what is one person's; a date or a reason for consent is others' too. Sealed cells are all unique."""


def files_of(store: Store) -> list[Path]:
    """Every file that belongs to the gallery, and those of its snapshots; some may not be there."""
    with store.read() as connection:
        snapshots = [Path(row[0]) for row in connection.execute("SELECT path FROM snapshots ORDER BY path")]
    return [Path(f"{path}{ending}") for path in (store.path, *snapshots) for ending in _ENDINGS]


def stored_of(store: Store, person_id: str) -> list[bytes]:
    """The stored bytes of a person, of those merged into them too, in the record, its index and the snapshots."""
    with store.read() as connection:
        people.find_by_id(connection, person_id)
        everybody = with_merged(connection, person_id)
        found, faces = _of(connection, everybody)
        found += _in_index(store, connection, faces)
        snapshots = [Path(row[0]) for row in connection.execute("SELECT path FROM snapshots ORDER BY path")]
    for path in snapshots:
        if path.exists():
            with mapped_errors(path), closing(connect(path, readonly=True)) as copy:
                found += _of(copy, everybody)[0]
    return found


def _of(connection: sqlite3.Connection, people_ids: Sequence[str]) -> tuple[list[bytes], list[int]]:
    """What one file stores of people, and the numbers of their faces."""
    sealing = read_sealing(connection)
    columns = SECRET if sealing.new is not None or sealing.changing else _TELLING
    found: list[bytes] = []
    faces: list[int] = []
    for person_id in people_ids:
        row = connection.execute("SELECT key, facts FROM people WHERE id = ?", (person_id,)).fetchone()
        if row is None:
            continue
        own = [face for (face,) in connection.execute("SELECT id FROM faces WHERE person = ?", row[:1])]
        found += _cells(connection, "facts", columns, [row[1]])
        for table in ("vectors", "vectors_next", "pictures"):
            found += _cells(connection, table, columns, own)
        faces += own
    return found, faces


def _cells(
    connection: sqlite3.Connection, table: str, columns: dict[str, tuple[str, ...]], rows: Sequence[int]
) -> list[bytes]:
    select = f"SELECT {', '.join(columns[table])} FROM {table} WHERE id = ?"  # noqa: S608 - names of the schema
    stored = (connection.execute(select, (row,)).fetchone() for row in rows)
    values = [value for each in stored if each is not None for value in each if value is not None]
    return [value.encode() if isinstance(value, str) else bytes(value) for value in values]


def _in_index(store: Store, connection: sqlite3.Connection, faces: Sequence[int]) -> list[bytes]:
    """The int8 copies of vectors in a plain index; a sealed one is written anew as a whole."""
    tag, cells = ann.read_tag(connection), cells_of(connection)
    if tag is None or cells is not None:
        return []
    loaded = ann.load(store.path, tag, dimension=int(str(get_meta(connection, "dimension"))), cells=None)
    return [] if loaded is None else loaded.stored(np.array(faces, np.int64))
