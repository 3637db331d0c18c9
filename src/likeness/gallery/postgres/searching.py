"""Search on PostgreSQL: the server reads all vectors of a small gallery, and goes through an index in a large one.

The index holds half-precision copies and only proposes faces: more of them than are wanted, which are scored again in
full precision. A question is asked again for more faces until they show enough people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, text

from likeness.gallery.base import Hit
from likeness.gallery.postgres import index
from likeness.gallery.postgres.faces import as_text
from likeness.gallery.postgres.server import State
from likeness.gallery.ranking import best_per_person
from likeness.types import Vector

_MOST_CANDIDATES = 8_192
_PROBES = 64
_SCORES_AT_ONCE = 5_000_000
"""How many similarities one statement computes at most without an index: so that none takes longer than it may."""

_WITHOUT = """
person <> ALL (ARRAY(SELECT key FROM gallery_people WHERE gallery = :gallery AND id = ANY (CAST(:exclude AS text[]))))
"""
_EXACT = """
SELECT q.n, p.id, p.name, c.face, c.distance
FROM unnest(CAST(CAST(:probes AS text[]) AS vector[])) WITH ORDINALITY AS q (probe, n)
CROSS JOIN LATERAL (
  SELECT face, person, vec <#> q.probe AS distance FROM {vectors} WHERE {without}
  ORDER BY 3, face LIMIT :count) AS c
JOIN gallery_people p ON p.key = c.person
"""
_INDEXED = """
SELECT q.n, p.id, p.name, c.face, c.distance
FROM unnest(CAST(CAST(:probes AS text[]) AS vector[])) WITH ORDINALITY AS q (probe, n)
CROSS JOIN LATERAL (
  SELECT near.face, near.person, near.vec <#> q.probe AS distance FROM (
    SELECT face, person, vec FROM {vectors} WHERE {without}
    ORDER BY vec::halfvec({dimension}) <#> q.probe::halfvec({dimension}) LIMIT :count) AS near) AS c
JOIN gallery_people p ON p.key = c.person
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for: probes `(n, d)`, how many people, and ids of those who are passed over."""

    probes: Vector
    k: int
    exclude: Sequence[str] = ()


def search(connection: Connection, state: State, asked: Question, *, indexed: bool) -> list[list[Hit]]:
    """See `Gallery.search`; through the index if `indexed`."""
    answers: list[list[Hit]] = [[] for _ in asked.probes]
    open_rows = np.arange(len(asked.probes))
    count = max(128, 8 * asked.k) if indexed else 4 * asked.k + 28
    while len(open_rows):
        # Where one person's faces, or those passed over, fill the neighbourhood, only looking at all of them is right.
        if indexed and count > min(_MOST_CANDIDATES, state.faces):
            index.pass_by(connection)
            indexed = False
        found = _candidates(connection, state, asked, open_rows, count, indexed=indexed)
        for row, hits in zip(open_rows, found, strict=True):
            answers[row] = best_per_person(hits, asked.k)
        # Fewer faces than wanted are all there are; from an index it may also mean that it gave up early.
        all_seen = [not indexed and len(hits) < count for hits in found]
        lacking = [len(answers[row]) < asked.k for row in open_rows]
        open_rows = open_rows[np.array(lacking) & ~np.array(all_seen)]
        count *= 4
    return answers


def _candidates(
    connection: Connection, state: State, asked: Question, rows: NDArray[np.int64], count: int, *, indexed: bool
) -> list[list[Hit]]:
    """The `count` nearest faces of each of these probes."""
    at_once = _PROBES if indexed else max(1, min(_PROBES, _SCORES_AT_ONCE // max(1, state.faces)))
    found: list[list[Hit]] = [[] for _ in rows]
    if indexed:
        index.tune(connection, state, count)
    statement = text(
        (_INDEXED if indexed else _EXACT).format(vectors=state.vectors, dimension=state.dimension, without=_WITHOUT)
    )
    for start in range(0, len(rows), at_once):
        values = {
            "probes": [as_text(probe) for probe in asked.probes[rows[start : start + at_once]]],
            "gallery": state.id,
            "exclude": list(asked.exclude),
            "count": count,
        }
        for n, person_id, name, face, distance in connection.execute(statement, values):
            found[start + n - 1].append(Hit(person_id, name, face, -float(distance)))
    return found
