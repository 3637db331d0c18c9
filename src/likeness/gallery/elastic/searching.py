"""Search on Elasticsearch: people by their nearest face, exactly in small galleries and by the graph in large ones."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NamedTuple

from likeness.errors import GalleryBusy, InputError, SpaceMismatch
from likeness.gallery.base import Hit
from likeness.gallery.elastic import layout, people
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.store import Overtaken, Store
from likeness.gallery.ranking import best_per_person
from likeness.types import Vector

_MOST_HITS = 10_000
"""Elasticsearch gives no more at once (`max_result_window`), nor looks at more candidates."""
_MOST_NEAREST = 2_000
_TRIES = 6
_COSINE = "cosineSimilarity(params.probe, 'vector') + 1.0"
Way = Literal["exact", "graph"]


class _Found(NamedTuple):
    """Faces found, not named yet, and the number of the change that brought each one."""

    faces: list[Hit]
    changes: list[int]


class Searcher:
    """Searches of one process. Thread-safe."""

    def __init__(self, store: Store, head: Head) -> None:
        self._store = store
        self._head = head
        self._space = head.space

    def follow(self, head: Head) -> None:
        """Take on another embedding space: this process has re-embedded the gallery."""
        self._head, self._space = head, head.space

    def search(self, probes: Vector, k: int, exclude: Sequence[str], *, way: Way | None = None) -> list[list[Hit]]:
        """See `Gallery.search`; `way` says how, else the number of faces does."""
        if k > _MOST_HITS:
            raise InputError(f"a search on Elasticsearch gives up to {_MOST_HITS:,} people, not {k:,}")
        if len(probes) < 2:
            return [self._one(probe, k, exclude, way) for probe in probes]
        with ThreadPoolExecutor(min(len(probes), self._store.address.options.parallel)) as pool:
            return list(pool.map(lambda probe: self._one(probe, k, exclude, way), probes))

    def mode(self, head: Head) -> str:
        """`exact`, or the kind of index in use."""
        return "exact" if self._way(head) == "exact" else layout.graph_of(self._store, head)[0]

    def _way(self, head: Head) -> Way:
        return "exact" if head.faces <= self._store.address.options.exact else "graph"

    def _one(self, probe: Vector, k: int, exclude: Sequence[str], way: Way | None) -> list[Hit]:
        """A search sees what it sees; then people and head are read as they are now, and what does not fit is repeated.

        Most searches take two requests. More follow when somebody has changed the gallery since the last one of this
        process or is changing it just then, and when somebody was found who is gone.
        """
        careful, gone = False, set[str]()
        hits: list[Hit] | None = None
        for _ in range(_TRIES):
            head = self._head
            try:
                found = self._faces(head, probe, k, [*exclude, *gone], careful=careful, way=way or self._way(head))
            except Overtaken:  # the index of faces was replaced
                self._take_on(self._store.head()[0])
                continue
            present, owners = people.find_many(self._store, sorted({hit.person_id for hit in found.faces}))
            self._take_on(present)
            if present.index != head.index:
                continue
            if any(change > head.committed for change in found.changes):
                careful = True
                continue
            hits = [_named(hit, owners[hit.person_id]) for hit in found.faces if hit.person_id in owners]
            hits = [hit for hit in hits if hit.person_id not in exclude]
            lacking = {hit.person_id for hit in found.faces} - set(owners)
            if not lacking:
                break
            gone |= lacking
        if hits is None:
            raise GalleryBusy(f"the gallery {self._store.address.shown} changes too fast to be searched")
        return best_per_person(hits, k)

    def _take_on(self, head: Head) -> None:
        if head.space != self._space:
            raise SpaceMismatch(
                f"{self._store.address.shown} was re-embedded: it holds vectors of {head.space!r} now, not of "
                f"{self._space!r}",
                hint="open it again with the new model",
            )
        self._head = head

    def _faces(self, head: Head, probe: Vector, k: int, without: Sequence[str], *, careful: bool, way: Way) -> _Found:
        """Faces that show the `k` nearest people, if there are so many.

        One person's faces may fill the neighbourhood: more are asked for then, and in the end all compared.

        Raises:
            Overtaken: the index is not there any more.
        """
        nearest = 4 * k + 28
        among = [people.visible(head)] if careful else []
        while way == "graph" and nearest <= _MOST_NEAREST:
            found = self._asked(head, self._by_graph(probe, nearest, without, among), less=0.5)
            if len(found.faces) < nearest or len({hit.person_id for hit in found.faces}) >= k:
                return found
            nearest *= 4
        return self._asked(head, _exactly(probe, k, without, among), less=1.0)

    def _asked(self, head: Head, body: dict[str, Any], *, less: float) -> _Found:
        """Ask, and bring scores back to cosines: (1 + cos) / 2 by the graph, 1 + cos exactly."""
        answer = self._store.search(
            head.index,
            source=False,
            docvalue_fields=[{"field": name} for name in ("id", "person", "change")],
            track_total_hits=False,
            **body,
        )
        faces, changes = [], []
        for hit in answer["hits"]["hits"]:
            told = hit["fields"]
            faces.append(Hit(told["person"][0], "", told["id"][0], (hit["_score"] - less) / less))
            changes.append(told["change"][0])
        return _Found(faces, changes)

    def _by_graph(
        self, probe: Vector, nearest: int, without: Sequence[str], among: list[dict[str, Any]]
    ) -> dict[str, Any]:
        options = self._store.address.options
        filters = [*among]
        knn: dict[str, Any] = {
            "field": "vector",
            "query_vector": _numbers(probe),
            "k": nearest,
            "num_candidates": min(_MOST_HITS, max(options.candidates, 2 * nearest)),
        }
        if options.oversample > 1:
            knn["rescore_vector"] = {"oversample": options.oversample}
        if without:
            filters.append({"bool": {"must_not": [{"terms": {"person": list(without)}}]}})
        if filters:
            knn["filter"] = filters
        return {"knn": knn, "size": nearest}


def _exactly(probe: Vector, k: int, without: Sequence[str], among: list[dict[str, Any]]) -> dict[str, Any]:
    """Every face compared at full precision; of each person only the nearest comes back."""
    asked: dict[str, Any] = {"filter": [{"exists": {"field": "person"}}, *among]}
    if without:
        asked["must_not"] = [{"terms": {"person": list(without)}}]
    script = {"source": _COSINE, "params": {"probe": _numbers(probe)}}
    query = {"script_score": {"query": {"bool": asked}, "script": script}}
    return {"query": query, "size": k, "collapse": {"field": "person"}}


def _numbers(probe: Vector) -> list[float]:
    return [float(f"{value:.9g}") for value in probe.tolist()]


def _named(hit: Hit, owner: people.Record) -> Hit:
    return Hit(owner.person.id, owner.person.name, hit.face_id, hit.similarity)
