"""What a gallery on a server holds, how it answers, and how much room it takes there."""

from __future__ import annotations

from sqlalchemy import Connection, text

from likeness.gallery.base import GalleryInfo
from likeness.gallery.postgres import audit, index, people, transfer
from likeness.gallery.postgres.server import Server, State

_SHARED = ("people", "faces", "notes", "merged", "snapshots", "pending", "trails", "events")
_SUM = """
SELECT coalesce(sum(pg_total_relation_size(to_regclass(name))), 0) FROM unnest(CAST(:names AS text[])) AS name
"""


def bytes_on_disk(connection: Connection, state: State) -> int:
    """The tables of the gallery's own, and its share (by faces) of those that hold all galleries of the database."""
    own = connection.execute(text(_SUM), {"names": [state.vectors, state.vectors_next]}).scalar_one()
    shared = connection.execute(text(_SUM), {"names": [f"gallery_{name}" for name in _SHARED]}).scalar_one()
    faces, galleries = connection.execute(text("SELECT sum(faces), count(*) FROM galleries")).one()
    share = state.faces / int(faces) if faces else 1 / galleries
    return int(own) + int(int(shared) * share)


def describe(server: Server, connection: Connection, state: State, approximate_above: int) -> GalleryInfo:
    """See `Gallery.info`."""
    version = connection.execute(
        text("SELECT current_setting('server_version'), extversion FROM pg_extension WHERE extname = 'vector'")
    ).first()
    return GalleryInfo(
        uri=server.address,
        engine="postgresql",
        space=state.space,
        dimension=state.dimension,
        people=people.count(connection, state),
        faces=state.faces,  # counting them takes long where they are many, and this is asked before each answer
        index=index.NAME if index.is_used(connection, state, approximate_above) else "exact",
        bytes_on_disk=bytes_on_disk(connection, state),
        details={
            "gallery": server.name,
            "server": None if version is None else f"PostgreSQL {version[0]}, pgvector {version[1]}",
            "snapshots": transfer.held(connection, state, "snapshots").rows,
            "events": audit.written(connection, state),
            "changes": state.changes,
            "index_pays_above": approximate_above,
            "index_built": index.is_built(connection, state),
            "index_bytes": index.bytes_of(connection, state),
        },
    )
