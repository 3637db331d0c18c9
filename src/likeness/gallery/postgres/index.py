"""The approximate index of a large gallery: pgvector's HNSW over half-precision copies of the vectors.

Half precision halves the index and changes a cosine by less than 0.001, which scoring again in full precision mends.
The server keeps it up to date by itself with every face that is added or erased.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from likeness.errors import InputError
from likeness.gallery.postgres.server import Server, State

NAME = "hnsw-halfvec"
LONGEST_DIMENSION = 4_000
_LINKS = 16
_BUILD_BREADTH = 128
_BREADTH, _BREADTH_FACES = 400, 100_000
"""How widely the graph of so many faces is searched. Strangers at ranks 2 to 10 lie almost equally far from a probe:
that is hard. At 100,000 faces, 100 finds 83% of the ten nearest people, 200 89%, 400 96% and 1,000 99.7%."""
_MOST_BREADTH = 1_000
_LOOKED_AT = 100_000
"""How many faces a search under filters may pass over before it gives up (pgvector's own default is 20,000)."""
_EVERY_S = 0.5
_LOCK = 0x4C6B4978  # "LkIx": an advisory lock of PostgreSQL, while an index is built


def index_name(vectors: str) -> str:
    """What the index of a table of vectors is called."""
    return f"{vectors}_hnsw"


def is_built(connection: Connection, state: State) -> bool:
    """Whether there is an index that answers."""
    return _state_of(connection, state.vectors) is True


def is_used(connection: Connection, state: State, approximate_above: int) -> bool:
    """Whether searches go through the index."""
    return state.faces > approximate_above and is_built(connection, state)


def _state_of(connection: Connection, vectors: str) -> bool | None:
    """True for an index that is whole, False for one whose making was interrupted, None for none."""
    return connection.execute(
        text("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(:name)"), {"name": index_name(vectors)}
    ).scalar()


def pass_by(connection: Connection) -> None:
    """Undo what `tune` says of reading all vectors, for this transaction."""
    connection.execute(text("SELECT set_config('enable_seqscan', 'on', true)"))


def breadth(faces: int, count: int) -> int:
    """How widely a graph of so many faces is searched for `count` of them; more of them need more."""
    wanted = round(_BREADTH * float(max(1.0, faces / _BREADTH_FACES) ** 0.4))
    return min(_MOST_BREADTH, max(wanted, count))


def tune(connection: Connection, state: State, count: int) -> None:
    """Set, for this transaction, how widely the graph is searched for `count` faces, also under filters."""
    connection.execute(
        text(
            "SELECT set_config('hnsw.ef_search', :breadth, true), set_config('hnsw.max_scan_tuples', :most, true), "
            "set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('enable_seqscan', 'off', true)"
        ),
        {"breadth": str(breadth(state.faces, count)), "most": str(_LOOKED_AT)},
    )


def build(server: Server, progress: Callable[[int, int], None], *, of_next: int | None = None) -> None:
    """Build the index, unless there is one; others search and write meanwhile. Of several who build it one does.

    With `of_next`, a dimension, it is one of the vectors that a re-embedding has filled in, before they take over.

    Raises:
        InputError: the vectors are too long for an index.
    """

    def look(connection: Connection, state: State) -> tuple[str, int, int, bool | None]:
        vectors = state.vectors if of_next is None else state.vectors_next
        return vectors, of_next or state.dimension, state.faces, _state_of(connection, vectors)

    vectors, dimension, faces, built = server.read(look)
    if built:
        progress(faces, faces)
        return
    if dimension > LONGEST_DIMENSION:
        raise InputError(
            f"vectors of {dimension} numbers are too long for an index of pgvector ({LONGEST_DIMENSION} at most)",
            hint="exact search goes on without it",
        )
    ended = threading.Event()
    telling = threading.Thread(target=_tell, args=(server, vectors, faces, progress, ended), daemon=True)
    with server.errors(), server.engine.connect() as plain:
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET lock_timeout = 0"))
        telling.start()
        try:
            _take_turn(connection, vectors)
            _create(connection, vectors, dimension)
        finally:
            ended.set()
            telling.join()
            plain.invalidate()  # its time limits were lifted, and it holds the turn: it is not for others
    progress(faces, faces)


def _take_turn(connection: Connection, vectors: str) -> None:
    """Wait until nobody else builds the index.

    By asking again and again: who waits inside a statement holds a snapshot, and whoever builds waits for that to end.
    """
    ask = text("SELECT pg_try_advisory_lock(:key, hashtext(:vectors))")
    while not connection.execute(ask, {"key": _LOCK, "vectors": vectors}).scalar():
        time.sleep(_EVERY_S)


def _create(connection: Connection, vectors: str, dimension: int) -> None:
    built = _state_of(connection, vectors)
    if built:
        return
    if built is False:
        connection.execute(text(f"DROP INDEX CONCURRENTLY IF EXISTS {index_name(vectors)}"))
    connection.execute(
        text(
            f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {index_name(vectors)} ON {vectors} "
            f"USING hnsw ((vec::halfvec({dimension})) halfvec_ip_ops) "
            f"WITH (m = {_LINKS}, ef_construction = {_BUILD_BREADTH})"
        )
    )


def _tell(
    server: Server, vectors: str, faces: int, progress: Callable[[int, int], None], ended: threading.Event
) -> None:
    """Tell how far the server has come; it counts rows of the table's blocks, not of the gallery.

    A look that fails tells nothing: where the server is gone, whoever builds finds out.
    """
    select = text(
        "SELECT greatest(blocks_done, 0), greatest(blocks_total, 1) FROM pg_stat_progress_create_index "
        "WHERE relid = to_regclass(:table)"
    )
    while not ended.wait(_EVERY_S):
        row = None
        with suppress(SQLAlchemyError), server.engine.connect() as connection:
            row = connection.execute(select, {"table": vectors}).first()
        if row is not None:
            progress(int(faces * min(1.0, row[0] / row[1])), faces)


def bytes_of(connection: Connection, state: State) -> int:
    """How many bytes the index takes."""
    size = text("SELECT pg_relation_size(to_regclass(:name))")
    return int(connection.execute(size, {"name": index_name(state.vectors)}).scalar() or 0)


def estimate_bytes(dimension: int, faces: int) -> int:
    """About how many bytes an index of so many faces takes: a vector and its links each, in pages of 8 kB.

    A node has two rows: the vector at two bytes a number, and room for 2·16 links of 6 bytes at the bottom layer (a
    sixteenth of the nodes have 16 more), each with about 90 bytes of headers and places.
    """
    node, links = 2 * dimension + 8 + 96, 6 * (2 * _LINKS + 1) + 32
    pages = faces / max(1, 8_130 // (node + links))
    return int(8_192 * pages)
