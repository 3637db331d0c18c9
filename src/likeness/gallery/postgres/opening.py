"""Finding a gallery on a server, or making it: extension, tables, its row, and the table of its vectors."""

from __future__ import annotations

import secrets

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from likeness.database import LaterVersion, migrate, sqlstate
from likeness.errors import GalleryMissing, StorageError
from likeness.gallery.postgres import transfer
from likeness.gallery.postgres.server import Server, State, vectors_table, vectors_tables, wait_briefly

_LEAST = (0, 8)
"""pgvector's version from which on an index goes on searching under filters."""
_INLINE_DIMENSION = 1900
"""Up to here a vector fits into a page beside its row; kept elsewhere, reading all of them takes far longer."""


def prepare(server: Server, *, space: str | None, dimension: int | None, create: bool) -> State:
    """The gallery's row; where there is none it is made, if `create` and the space is known.

    Raises:
        GalleryMissing: there is none, and it is not to be made.
        StorageError: the server has no pgvector, or the tables are of a later version.
    """
    with server.errors():
        may_create = create and space is not None and dimension is not None
        with server.engine.connect() as connection:
            there = connection.execute(text("SELECT to_regclass('galleries')")).scalar() is not None
        if not there and not may_create:
            raise _missing(server, create=create)
        try:
            migrate(server.engine)
        except LaterVersion as error:
            raise StorageError(
                f"the gallery at {server.address} was made by a later version", hint="upgrade Likeness"
            ) from error
        if may_create:
            assert space is not None
            assert dimension is not None
            if dimension < 1:
                raise ValueError(f"expected a dimension of at least 1, got {dimension}")
            _make(server, space, dimension)
        with server.engine.connect() as connection:
            try:
                return server.state(connection)
            except GalleryMissing as error:
                raise _missing(server, create=create) from error


def _missing(server: Server, *, create: bool) -> GalleryMissing:
    if not create:
        return server.missing()
    return GalleryMissing(
        f"there is no gallery {server.name!r} at {server.address}, and a new one needs the space and dimension of its "
        "embeddings",
        hint="open_gallery(uri, space=recognizer.space, dimension=recognizer.dimension)",
    )


def _make(server: Server, space: str, dimension: int) -> None:
    with server.engine.connect() as connection:
        found = connection.execute(text("SELECT 1 FROM galleries WHERE name = :name"), {"name": server.name}).first()
    if found is not None:
        return
    need_pgvector(server)
    with server.engine.begin() as connection:
        made = connection.execute(
            text(
                "INSERT INTO galleries (name, space, dimension, salt) VALUES (:name, :space, :dimension, :salt) "
                "ON CONFLICT (name) DO NOTHING RETURNING id"
            ),
            {"name": server.name, "space": space, "dimension": dimension, "salt": secrets.token_bytes(32)},
        ).scalar()
        if made is not None:  # else another process was faster
            connection.execute(text("INSERT INTO gallery_trails (gallery) VALUES (:id)"), {"id": made})
            make_vectors(connection, made, 1, dimension)


def need_pgvector(server: Server) -> None:
    """Install the extension in the database, unless it is there.

    Raises:
        StorageError: the server has none, too old a one, or the user may not install it.
    """
    try:
        with server.engine.begin() as connection:
            connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
            version = str(
                connection.execute(text("SELECT extversion FROM pg_extension WHERE extname = 'vector'")).scalar()
            )
    except DBAPIError as error:
        if sqlstate(error) in ("0A000", "58P01"):
            raise StorageError(
                f"the server of {server.address} has no pgvector",
                hint="install it on the server, for example: apt install postgresql-18-pgvector, or use the image "
                "pgvector/pgvector:pg18",
            ) from error
        if sqlstate(error) == "42501":
            raise StorageError(
                f"the user of {server.address} may not install pgvector in the database",
                hint="let a superuser of the server run, in that database: CREATE EXTENSION vector",
            ) from error
        if sqlstate(error) not in ("23505", "42710"):  # another process is installing it
            raise
        return
    if tuple(int(part) for part in version.split(".")[:2]) < _LEAST:
        raise StorageError(
            f"the server of {server.address} has pgvector {version}, but 0.8 is needed",
            hint="upgrade it on the server, then run: ALTER EXTENSION vector UPDATE",
        )


def make_vectors(connection: Connection, gallery: int, generation: int, dimension: int) -> None:
    """Make an empty table of vectors. Whoever erases a face erases its row here, in every such table.

    No foreign key says so: making or dropping a table that has one locks `gallery_faces`, for all galleries.
    """
    table = vectors_table(gallery, generation)
    connection.execute(
        text(
            f"CREATE TABLE {table} (face bigint PRIMARY KEY, person bigint NOT NULL, "
            f"vec vector({int(dimension)}) NOT NULL)"
        )
    )
    if dimension <= _INLINE_DIMENSION:
        connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN vec SET STORAGE PLAIN"))


def delete(connection: Connection, state: State) -> int:
    """Take a gallery away with all that is its; returns how many tables of vectors went."""
    tables = vectors_tables(connection, state)
    for table in tables:
        connection.execute(text(f"DROP TABLE {table}"))
    transfer.empty(connection, state)
    connection.execute(text("DELETE FROM gallery_trails WHERE gallery = :id"), {"id": state.id})
    connection.execute(text("DELETE FROM galleries WHERE id = :id"), {"id": state.id})
    return len(tables)


def drop_left_over(server: Server) -> int:
    """Drop tables of vectors that are neither searched nor being filled: what a re-embedding left. Returns how many.

    Raises:
        GalleryBusy: somebody reads one, or changes the gallery: another time will do.
    """

    def work(connection: Connection, state: State) -> int:
        if not _left_over(connection, state):
            return 0
        wait_briefly(connection)
        # Held, so that nobody begins or ends a re-embedding meanwhile; nothing that people see changes.
        connection.execute(text("SELECT 1 FROM galleries WHERE id = :id FOR NO KEY UPDATE"), {"id": state.id})
        tables = _left_over(connection, server.state(connection))
        for table in tables:
            connection.execute(text(f"DROP TABLE {table}"))
        return len(tables)

    return server.append(work, importing=True)


def _left_over(connection: Connection, state: State) -> list[str]:
    kept = {state.vectors} | ({state.vectors_next} if state.reembedding else set())
    return [table for table in vectors_tables(connection, state) if table not in kept]
