"""Search in the embedded gallery: memory kept in step with the record, answers exact or by the index."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

import numpy as np

from likeness.errors import SpaceMismatch
from likeness.gallery.base import Hit
from likeness.gallery.embedded import ann, faces, people
from likeness.gallery.embedded.matrix import GONE, FaceMatrix, Ids, Nearest, View, merge_nearest, nearest_people
from likeness.gallery.embedded.schema import get_meta, last_number
from likeness.gallery.embedded.sealed import cells_of
from likeness.gallery.embedded.storage import Store
from likeness.types import Vector

_FIRST_CANDIDATES = 128
_MOST_CANDIDATES = 8_192


class _Reembedded(Exception):
    """The gallery was re-embedded during a search."""


def _expect_generation(connection: sqlite3.Connection, generation: object) -> None:
    if generation is not None and get_meta(connection, "generation") != generation:
        raise _Reembedded


class Searcher:
    """What one process holds of a gallery for searching.

    Below `approximate_above` faces, or without a usable index, the matrix holds every face; else those that
    came after the index was built. `PRAGMA data_version` tells when anybody has committed; then new faces are
    those with higher ids, and the table `changes` names those that were erased or given to others.
    """

    def __init__(self, store: Store, *, space: str, approximate_above: int) -> None:
        self._store = store
        self._space = space
        self._approximate_above = approximate_above
        self._lock = threading.RLock()
        self._version: int | None = None
        self._generation: object = None
        self._seq = 0
        self._after = 0
        self._matrix = FaceMatrix(0)
        self._index: ann.ApproximateIndex | None = None
        self._wanted: ann.Tag | None = None

    def follow(self, space: str) -> None:
        """Take on another embedding space: this process has re-embedded the gallery."""
        with self._lock:
            self._space, self._version = space, None

    def search(self, probes: Vector, k: int, exclude: Sequence[str]) -> list[list[Hit]]:
        """See `Gallery.search`."""
        attempt = 0
        while True:
            attempt += 1
            view, index, generation = self._state()
            excluded = self._keys(exclude) if exclude else np.empty(0, np.int64)
            if index is None:
                found = nearest_people(view, probes, k, excluded)
            else:
                try:
                    found = self._through_index(index, view, probes, k, excluded, generation)
                except _Reembedded:
                    continue  # the present state says whether these probes may still be asked about
            # Found again when somebody in it has just gone; on a gallery that never rests, in the end without
            # them.
            hits = self._as_hits(found, complete=attempt < 4)
            if hits is not None:
                return hits

    def mode(self) -> str:
        """`exact`, or the name of the index in use."""
        with self._store.read() as connection:
            tag, dimension = self._usable_tag(connection), int(str(get_meta(connection, "dimension")))
            cells = cells_of(connection)
        with self._lock:
            if self._version is not None and tag == self._wanted:
                index = self._index
            else:  # told without reading all vectors
                index = ann.load(self._store.path, tag, dimension=dimension, cells=cells) if tag else None
        return "exact" if index is None else ann.NAME

    def tail(self) -> int:
        """How many faces are searched exactly."""
        return len(self._state()[0].face_ids)

    def exact(
        self, probes: Vector, k: int, excluded: Ids | None = None, *, generation: object = None
    ) -> list[list[Nearest]]:
        """Exact search over the record itself, page by page, whatever is in memory."""
        none = np.empty(0, np.int64) if excluded is None else excluded
        best: list[list[Nearest]] = [[] for _ in probes]
        after = 0
        while True:
            with self._store.read() as connection:
                _expect_generation(connection, generation)
                dimension = int(str(get_meta(connection, "dimension")))
                page = faces.vectors_page(connection, after, dimension)
            if not len(page.face_ids):
                return best
            found = nearest_people(page, probes, k, none)
            best = [merge_nearest(pair, k) for pair in zip(best, found, strict=True)]
            after = int(page.face_ids[-1])

    def _state(self) -> tuple[View, ann.ApproximateIndex | None, object]:
        with self._lock:
            version = self._store.data_version()
            if version != self._version:
                self._refresh()
                # Read before the refresh: what was committed in between is seen by the next one.
                self._version = version
            return self._matrix.view(), self._index, self._generation

    def _refresh(self) -> None:
        with self._store.read() as connection:
            generation, space = get_meta(connection, "generation"), get_meta(connection, "space")
            if space != self._space:
                self._version = None
                raise SpaceMismatch(
                    f"{self._store.path} was re-embedded: it holds vectors of {space!r} now, not of {self._space!r}",
                    hint="open it again with the new model",
                )
            dimension = int(str(get_meta(connection, "dimension")))
            tag = self._usable_tag(connection)
            seq = last_number(connection, "changes")
            row = connection.execute("SELECT min(seq) FROM changes").fetchone()
            forgotten = seq > self._seq and (row[0] is None or row[0] > self._seq + 1)
            if generation != self._generation or forgotten or tag != self._wanted:
                cells = cells_of(connection)
                self._index = ann.load(self._store.path, tag, dimension=dimension, cells=cells) if tag else None
                self._after = self._index.tag.last_id if self._index else 0
                self._matrix = FaceMatrix(dimension)
                self._generation, self._wanted = generation, tag
            elif seq > self._seq:
                self._matrix.reassign(self._changed(connection))
            self._seq = seq
            while len((page := faces.vectors_page(connection, self._newest(), dimension)).face_ids):
                self._matrix.append(page)

    def _newest(self) -> int:
        return max(self._matrix.last_id(), self._after)

    def _changed(self, connection: sqlite3.Connection) -> dict[int, int]:
        """Face → present owner, of the faces that were erased or given to others since the last refresh."""
        rows = connection.execute(
            "SELECT DISTINCT c.face, f.person FROM changes c LEFT JOIN faces f ON f.id = c.face WHERE c.seq > ?",
            (self._seq,),
        )
        return {face: GONE if owner is None else owner for face, owner in rows}

    def _usable_tag(self, connection: sqlite3.Connection) -> ann.Tag | None:
        tag = ann.read_tag(connection)
        if tag is None:
            return None
        count = connection.execute("SELECT count(*) FROM faces").fetchone()[0]
        return tag if count > self._approximate_above else None

    def _keys(self, person_ids: Sequence[str]) -> Ids:
        with self._store.read() as connection:
            found = [
                connection.execute("SELECT key FROM people WHERE id = ?", (person_id,)).fetchone()
                for person_id in person_ids
            ]
        return np.array([row[0] for row in found if row], np.int64)

    def _through_index(
        self, index: ann.ApproximateIndex, tail: View, probes: Vector, k: int, excluded: Ids, generation: object
    ) -> list[list[Nearest]]:
        """Candidates from the index, scored exactly; more of them where they show too few people.

        Raises:
            _Reembedded: the vectors in the record are others by now than those of this `generation`.
        """
        answers = nearest_people(tail, probes, k, excluded)
        open_rows = np.arange(len(probes))
        count = max(_FIRST_CANDIDATES, 8 * k)
        while len(open_rows):
            proposed = index.candidates(probes[open_rows], count)
            with self._store.read() as connection:
                _expect_generation(connection, generation)
                scored = [
                    nearest_people(
                        faces.rows_of(connection, ids.tolist(), probes.shape[1]),
                        probes[row : row + 1],
                        k,
                        excluded,
                    )
                    for row, ids in zip(open_rows, proposed, strict=True)
                ]
            for row, (found,) in zip(open_rows, scored, strict=True):
                answers[row] = merge_nearest((answers[row], found), k)
            if count >= len(index):
                break
            open_rows = np.array([row for row in open_rows if len(answers[row]) < k], np.int64)
            count *= 4
            if count > _MOST_CANDIDATES and len(open_rows):
                # One person's faces, or excluded ones, fill the neighbourhood: only looking at all of them is
                # right.
                everything = self.exact(probes[open_rows], k, excluded, generation=generation)
                for row, found in zip(open_rows, everything, strict=True):
                    answers[row] = found
                break
        return answers

    def _as_hits(self, found: list[list[Nearest]], *, complete: bool) -> list[list[Hit]] | None:
        """Hits with ids and names; None where somebody in them was erased or merged since they were found."""
        with self._store.read() as connection:
            names = people.names_by_key(connection, (one.owner for row in found for one in row))
        if complete and any(one.owner not in names for row in found for one in row):
            return None
        return [
            [Hit(*names[one.owner], one.face_id, one.similarity) for one in row if one.owner in names] for row in found
        ]
