"""Re-embedding: new vectors are written beside the old ones in batches, and take over at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from likeness.errors import GalleryBusy
from likeness.gallery.embedded import ann
from likeness.gallery.embedded.schema import get_meta, set_meta
from likeness.gallery.embedded.sealed import put, read_sealing, take
from likeness.gallery.embedded.storage import Store
from likeness.types import Vector, check_unit_vectors

_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Aim:
    """The embedding space that is wanted, and the network where it matters which one of the space."""

    space: str
    dimension: int
    maker: str

    def __str__(self) -> str:
        return f"{self.dimension} {self.space} {self.maker}".rstrip()


def run(
    store: Store,
    space: str,
    dimension: int,
    embed: Callable[[list[bytes]], Vector],
    progress: Callable[[int, int], None],
    *,
    maker: str = "",
) -> int:
    """See `Gallery.reembed`."""
    aim = _Aim(space, dimension, maker)
    if not _begin(store, aim):
        return 0
    embedded = 0
    while True:
        batch, done, total = _next_batch(store)
        progress(done, total)
        if not batch:
            if _switch(store, aim):
                break
            continue  # somebody enrolled a face after the last look
        vectors = embed([crop for _, crop in batch])
        check_unit_vectors(vectors, dimension)
        if len(vectors) != len(batch):
            raise ValueError(f"expected {len(batch)} embeddings, got {len(vectors)}")
        _keep(store, str(aim), [face for face, _ in batch], vectors)
        embedded += len(batch)
    with suppress(GalleryBusy):  # only gives room back
        store.truncate_log(limit_s=5.0)
    return embedded


def _begin(store: Store, aim: _Aim) -> bool:
    """Note the aim; an earlier run's vectors towards it are kept. False where it is reached already."""
    with store.write() as connection:
        there = (get_meta(connection, "space"), get_meta(connection, "dimension")) == (aim.space, aim.dimension)
        if there and (not aim.maker or get_meta(connection, "maker") == aim.maker):
            return False
        if read_sealing(connection).changing:
            raise GalleryBusy(
                f"{store.path} is being encrypted, or was left half-way",
                hint="let `likeness gallery encrypt` end first",
            )
        if get_meta(connection, "reembedding") != str(aim):
            connection.execute("DELETE FROM vectors_next")
            set_meta(connection, reembedding=str(aim))
    return True


def _next_batch(store: Store) -> tuple[list[tuple[int, bytes]], int, int]:
    with store.read() as connection:
        rows = connection.execute(
            "SELECT f.id, f.person, c.crop FROM faces f JOIN pictures c ON c.id = f.id "
            "WHERE f.id > (SELECT coalesce(max(id), 0) FROM vectors_next) ORDER BY f.id LIMIT ?",
            (_BATCH,),
        ).fetchall()
        total = int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])
        left = int(
            connection.execute(
                "SELECT count(*) FROM faces WHERE id > (SELECT coalesce(max(id), 0) FROM vectors_next)"
            ).fetchone()[0]
        )
        crops = [(face, take(connection, "pictures", face, owner, (cell,), "crop")[0]) for face, owner, cell in rows]
    return crops, total - left, total


def _expect_aim(connection: sqlite3.Connection, aim: str) -> None:
    if get_meta(connection, "reembedding") != aim:
        raise GalleryBusy("another process re-embeds this gallery, or has done so", hint="let one of them do it")


def _keep(store: Store, aim: str, face_ids: list[int], vectors: Vector) -> None:
    with store.write() as connection:
        _expect_aim(connection, aim)
        # A face that was erased meanwhile must not come back: only those that still exist get their vector.
        for face, vector in zip(face_ids, vectors, strict=True):
            owner = connection.execute("SELECT person FROM faces WHERE id = ?", (face,)).fetchone()
            if owner is not None:
                (cell,) = put(connection, "vectors", face, owner[0], (vector.tobytes(),))
                connection.execute("INSERT OR IGNORE INTO vectors_next VALUES (?, ?)", (face, cell))


def _switch(store: Store, aim: _Aim) -> bool:
    """Let the new vectors take over, unless a face lacks one."""
    with store.write() as connection:
        _expect_aim(connection, str(aim))
        lacking = connection.execute(
            "SELECT 1 FROM faces f LEFT JOIN vectors_next v ON v.id = f.id WHERE v.id IS NULL LIMIT 1"
        ).fetchone()
        if lacking is not None:
            return False
        connection.execute("DROP TABLE vectors")
        connection.execute("ALTER TABLE vectors_next RENAME TO vectors")
        connection.execute("CREATE TABLE vectors_next (id INTEGER PRIMARY KEY, vector BLOB)")
        generation = int(str(get_meta(connection, "generation"))) + 1
        told = {"space": aim.space, "dimension": aim.dimension, "maker": aim.maker or None}
        set_meta(connection, **told, generation=generation, reembedding=None, index=None)
    ann.discard(store)
    return True
