"""Checking a gallery on PostgreSQL: the record, the audit trail, unfinished erasures, the index, and its answers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from sqlalchemy import Connection, text

from likeness.errors import GalleryBusy, LikenessError
from likeness.gallery.base import Finding
from likeness.gallery.forecast import Forecast, picture_bytes
from likeness.gallery.postgres import audit, erasure, index, searching
from likeness.gallery.postgres.faces import from_wire
from likeness.gallery.postgres.opening import drop_left_over
from likeness.gallery.postgres.server import Server, State
from likeness.gallery.recall import probes_near, recall_finding
from likeness.types import Vector

_MOST_PROBES = 200
_VECTOR_BYTES = 100
_RECORD_BYTES = 700
"""What is kept of a face beside its numbers in the table of vectors, and beside its picture in that of faces."""


def run(server: Server, number: int, *, sample: int, approximate_above: int) -> list[Finding]:
    """See `Gallery.check`. Also finishes interrupted erasures."""
    findings: list[Finding] = []

    def look(name: str, glance: Callable[[], Finding]) -> None:
        try:
            findings.append(glance())
        except LikenessError as error:
            findings.append(Finding(name, False, str(error)))

    look("record", lambda: server.read(_record, consistent=True))
    look("vectors", lambda: server.read(lambda connection, state: _vectors(connection, state, sample)))
    look(
        "audit trail",
        lambda: server.read(lambda connection, state: audit.verify(connection, state).finding, consistent=True),
    )
    look("erasures", lambda: _erasures(server, number))
    look("index", lambda: server.read(lambda connection, state: _index(connection, state, approximate_above)))
    look("search", lambda: server.read(lambda connection, state: _recall(connection, state, sample, approximate_above)))
    return findings


_FAULTS = {
    "faces without a vector": "SELECT count(*) FROM gallery_faces f LEFT JOIN {vectors} v ON v.face = f.id "
    "WHERE f.gallery = :gallery AND v.face IS NULL",
    "vectors that are given to somebody else than their face": "SELECT count(*) FROM gallery_faces f "
    "JOIN {vectors} v ON v.face = f.id WHERE f.gallery = :gallery AND v.person <> f.person",
    "vectors without a face": "SELECT count(*) FROM {vectors} v LEFT JOIN gallery_faces f "
    "ON f.gallery = :gallery AND f.id = v.face WHERE f.id IS NULL",
    "faces more or fewer than were counted": "SELECT abs(g.faces - (SELECT count(*) FROM gallery_faces f "
    "WHERE f.gallery = g.id)) FROM galleries g WHERE g.id = :gallery",
}
_WITHOUT_CROP = "SELECT count(*) FROM gallery_faces WHERE gallery = :gallery AND length(crop) = 0"


def _record(connection: Connection, state: State) -> Finding:
    def count(query: str) -> int:
        values = {"gallery": state.id}
        return int(connection.execute(text(query.format(vectors=state.vectors)), values).scalar_one())

    wrong = [f"{found} {what}" for what, query in _FAULTS.items() if (found := count(query))]
    imported = count(_WITHOUT_CROP)
    well = "every face has its person, vector and picture"
    well += f", but for {imported:,} imported without one" if imported else ""
    return Finding("record", not wrong, ", ".join(wrong) or well)


def _sample(connection: Connection, state: State, count: int) -> Vector:
    """Vectors of about so many faces, spread evenly over all."""
    rows = connection.execute(
        text(
            f"SELECT vector_send(vec) FROM (SELECT vec, row_number() OVER (ORDER BY face) AS n FROM {state.vectors}) "  # noqa: S608
            "AS numbered WHERE (n - 1) % :step = 0 ORDER BY n LIMIT :count"
        ),
        {"step": max(1, state.faces // max(1, count)), "count": count},
    )
    vectors = [from_wire(bytes(row[0])) for row in rows]
    return np.stack(vectors) if vectors else np.empty((0, state.dimension), np.float32)


def _vectors(connection: Connection, state: State, sample: int) -> Finding:
    vectors = _sample(connection, state, sample)
    wrong = int(np.count_nonzero(np.abs(np.linalg.norm(vectors, axis=1) - 1) > 1e-3))
    looked = len(vectors)
    words = f"{wrong:,} of {looked:,} looked at are not of unit length" if wrong else f"{looked:,} looked at, all well"
    return Finding("vectors", not wrong, words)


def _erasures(server: Server, gallery: int) -> Finding:
    pending = sorted(server.read(erasure.tasks))
    with server.maintenance(gallery):
        reached = erasure.finish(server)
    done = f"finished in {', '.join(pending)}" if pending else "none was unfinished"
    done += _tidied(server)
    left = server.read(erasure.tasks)
    if left:
        places = ", ".join(place for place in reached.not_found if place.partition(":")[2] in left)
        return Finding("erasures", False, f"unfinished in {places}: run `likeness gallery check` on that machine")
    if reached.not_found:
        done += f"; no snapshot found at {', '.join(reached.not_found)}: a copy that was moved is out of reach"
    return Finding("erasures", True, done)


def _tidied(server: Server) -> str:
    """Drop what a re-embedding left, and say so."""
    try:
        dropped = drop_left_over(server)
    except GalleryBusy:
        return "; old vectors are still being read by others: a later check drops them"
    return f"; {dropped} tables of old vectors dropped" if dropped else ""


def _index(connection: Connection, state: State, approximate_above: int) -> Finding:
    size = index.estimate_bytes(state.dimension, state.faces) / 1e6
    if not index.is_built(connection, state):
        if state.faces <= approximate_above:
            words = f"none needed: exact search is used up to {approximate_above:,} faces"
            return Finding("index", True, f"{words}; one of {state.faces:,} faces would take about {size:,.1f} MB")
        return Finding(
            "index",
            False,
            f"exact search over {state.faces:,} faces: the index is not built yet; run `likeness gallery build-index` "
            f"(about {size:,.0f} MB on disk, and as much of maintenance_work_mem to be built fast)",
        )
    taken = index.bytes_of(connection, state)
    cached = connection.execute(text("SELECT pg_size_bytes(current_setting('shared_buffers'))")).scalar_one()
    words = f"{index.NAME} of {taken / 1e6:,.1f} MB on disk for {state.faces:,} faces, to be held in shared_buffers"
    words += f" ({cached / 1e6:,.0f} MB): "
    words += "they hold less; raise them, or searches wait for the disk" if taken > cached else "it fits"
    return Finding("index", True, words)


def forecast(connection: Connection, state: State, count: int, *, approximate_above: int) -> Forecast:
    """See `Gallery.forecast`: what is searched, the vectors or the index, is to be in the server's memory."""
    sizes = connection.execute(
        text("SELECT octet_length(crop) FROM gallery_faces WHERE gallery = :id AND crop <> '' LIMIT 1000"),
        {"id": state.id},
    )
    picture = picture_bytes([row[0] for row in sizes])
    vectors = count * (4 * state.dimension + _VECTOR_BYTES)
    built = index.estimate_bytes(state.dimension, count) if count > approximate_above else 0
    disk = vectors + count * (picture + _RECORD_BYTES) + built
    return Forecast(count, index.NAME if built else "exact", built or vectors, disk, picture)


def _recall(connection: Connection, state: State, sample: int, approximate_above: int) -> Finding:
    """The first ten people of search as people get it, against reading all vectors."""
    asked = searching.Question(probes_near(_sample(connection, state, min(sample, _MOST_PROBES))), 10)
    indexed = index.is_used(connection, state, approximate_above)
    found = [searching.search(connection, state, asked, indexed=through) for through in (indexed, False)]
    got, wanted = ([[hit.similarity for hit in hits] for hits in answers] for answers in found)
    return recall_finding(got, wanted)
