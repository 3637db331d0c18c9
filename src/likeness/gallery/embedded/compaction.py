"""Giving back the room of erased rows, whose zeros stay in place until the whole file is written anew."""

from __future__ import annotations

import sqlite3

from likeness.gallery.embedded.schema import get_meta, set_meta
from likeness.gallery.embedded.storage import Store

_WORTHWHILE_BYTES = 32 * 2**20
_WORTHWHILE_SHARE = 0.25

_DEAD = {
    "facts": "id NOT IN (SELECT facts FROM people)",
    "vectors": "id NOT IN (SELECT id FROM faces)",
    "vectors_next": "id NOT IN (SELECT id FROM faces)",
    "pictures": "id NOT IN (SELECT id FROM faces)",
    "notes": "typeof(outcome) = 'blob'",
}


def compact_if_worthwhile(store: Store) -> int:
    """Compact when erased rows take a quarter of the file and 32 MB; returns the bytes given back."""
    with store.read() as connection:
        due = get_meta(connection, "vacuum_due") is not None
        size = store.path.stat().st_size
    if due or (size > _WORTHWHILE_BYTES and dead_bytes(store) > max(_WORTHWHILE_BYTES, _WORTHWHILE_SHARE * size)):
        compact(store)
    return max(0, size - store.path.stat().st_size)


def dead_bytes(store: Store) -> int:
    """About how many bytes erased rows take."""
    with store.read() as connection:
        pictures = connection.execute(f"SELECT total(length(crop)) FROM pictures WHERE {_DEAD['pictures']}")  # noqa: S608
        vectors = connection.execute(f"SELECT total(length(vector)) FROM vectors WHERE {_DEAD['vectors']}")  # noqa: S608
        return int(pictures.fetchone()[0] + vectors.fetchone()[0])


def compact(store: Store) -> None:
    """Drop the zeroed rows and write the file anew.

    Dropping rows moves their neighbours, which leaves copies of those behind; only the rewriting removes the
    copies. So it is noted as due in the transaction that drops the rows, and done at the latest when the
    gallery is next checked.
    """
    with store.write() as connection:
        for table, dead in _DEAD.items():
            connection.execute(f"DELETE FROM {table} WHERE {dead}")  # noqa: S608 - the tables above
        set_meta(connection, vacuum_due=1)
    with store.outside_transactions() as connection:
        connection.execute("VACUUM")
    store.truncate_log()
    with store.write() as connection:
        set_meta(connection, vacuum_due=None)


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether a compaction was begun and not ended."""
    return get_meta(connection, "vacuum_due") is not None
