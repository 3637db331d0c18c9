"""How much room a gallery takes on its server, and how much its index would."""

from __future__ import annotations

from sqlalchemy import Connection, text

from likeness.gallery.postgres.server import State

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
