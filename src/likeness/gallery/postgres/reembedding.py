"""Re-embedding on PostgreSQL: a table of new vectors is filled beside the old one, and takes over at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from sqlalchemy import Connection, text

from likeness.errors import GalleryBusy
from likeness.gallery.postgres import faces, index
from likeness.gallery.postgres.opening import make_vectors
from likeness.gallery.postgres.server import Server, State, wait_briefly
from likeness.types import Vector, check_unit_vectors

_BATCH = 64


def run(
    server: Server,
    space: str,
    dimension: int,
    embed: Callable[[list[bytes]], Vector],
    progress: Callable[[int, int], None],
    *,
    maker: str = "",
) -> int:
    """See `Gallery.reembed`; the old vectors are left, for `drop_left_over`."""
    aim = f"{dimension} {space} {maker}".rstrip()
    if not server.write(lambda connection, state: _begin(connection, state, space, dimension, maker, aim)):
        return 0
    embedded = 0
    after, done = server.read(_reached)
    while True:
        batch, total = server.read(partial(_next_batch, after=after))
        progress(min(done, total), total)
        if not batch:
            _index_too(server, dimension, progress)
            lacking = server.write(lambda connection, state: _switch(connection, state, space, dimension, maker, aim))
            if lacking is None:
                break
            after = lacking - 1  # somebody enrolled it after the last look
            continue
        vectors = embed([crop for _, crop in batch])
        check_unit_vectors(vectors, dimension)
        if len(vectors) != len(batch):
            raise ValueError(f"expected {len(batch)} embeddings, got {len(vectors)}")
        _keep(server, aim, [face for face, _ in batch], vectors)
        embedded, done, after = embedded + len(batch), done + len(batch), batch[-1][0]
    return embedded


def _begin(connection: Connection, state: State, space: str, dimension: int, maker: str, aim: str) -> bool:
    """Note the aim; an earlier run's vectors towards it are kept. False where it is reached already."""
    if (state.space, state.dimension) == (space, dimension) and (not maker or state.maker == maker):
        return False
    if state.reembedding != aim:
        wait_briefly(connection)
        connection.execute(text(f"DROP TABLE IF EXISTS {state.vectors_next}"))
        make_vectors(connection, state.id, state.generation + 1, dimension)
        connection.execute(text("UPDATE galleries SET reembedding = :aim WHERE id = :id"), {"aim": aim, "id": state.id})
    return True


def _reached(connection: Connection, state: State) -> tuple[int, int]:
    """The last face that has its new vector, and how many have one: an earlier run may have made some."""
    if state.reembedding is None:
        raise _taken()
    last, count = connection.execute(text(f"SELECT coalesce(max(face), 0), count(*) FROM {state.vectors_next}")).one()  # noqa: S608
    return last, count


def _next_batch(connection: Connection, state: State, after: int) -> tuple[list[tuple[int, bytes]], int]:
    if state.reembedding is None:
        raise _taken()
    values = {"gallery": state.id, "after": after, "limit": _BATCH}
    rows = connection.execute(
        text("SELECT id, crop FROM gallery_faces WHERE gallery = :gallery AND id > :after ORDER BY id LIMIT :limit"),
        values,
    ).all()
    return [(row[0], bytes(row[1])) for row in rows], state.faces


def _index_too(server: Server, dimension: int, progress: Callable[[int, int], None]) -> None:
    """Where searches go through an index, build one of the new vectors before they take over."""
    if server.read(index.is_built) and dimension <= index.LONGEST_DIMENSION:
        index.build(server, progress, of_next=dimension)


def _taken() -> GalleryBusy:
    return GalleryBusy("another process re-embeds this gallery, or has done so", hint="let one of them do it")


def _keep(server: Server, aim: str, face_ids: list[int], vectors: Vector) -> None:
    rows = [{"face": face, "vec": faces.as_text(vector)} for face, vector in zip(face_ids, vectors, strict=True)]

    def work(connection: Connection, state: State) -> None:
        if state.reembedding != aim:
            raise _taken()
        # A face that was erased meanwhile must not come back: only those that still exist get their vector.
        connection.execute(
            text(
                f"INSERT INTO {state.vectors_next} (face, person, vec) "  # noqa: S608 - a name of ours
                f"SELECT id, person, CAST(:vec AS vector) FROM gallery_faces "
                f"WHERE gallery = {state.id} AND id = :face ON CONFLICT DO NOTHING"
            ),
            rows,
        )

    server.write(work)


def _switch(connection: Connection, state: State, space: str, dimension: int, maker: str, aim: str) -> int | None:
    """Let the new vectors take over; unless a face lacks one: the first such."""
    if state.reembedding != aim:
        raise _taken()
    lacking = connection.execute(
        text(
            f"SELECT min(f.id) FROM gallery_faces f LEFT JOIN {state.vectors_next} v ON v.face = f.id "  # noqa: S608
            "WHERE f.gallery = :gallery AND v.face IS NULL"
        ),
        {"gallery": state.id},
    ).scalar()
    if lacking is not None:
        return int(lacking)
    connection.execute(
        text(
            "UPDATE galleries SET space = :space, dimension = :dimension, maker = :maker, generation = generation + 1, "
            "reembedding = NULL WHERE id = :id"
        ),
        {"space": space, "dimension": dimension, "maker": maker or None, "id": state.id},
    )
    return None
