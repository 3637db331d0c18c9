"""Checking a gallery on Elasticsearch: indexes, record, audit trail, unfinished erasures, and its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from likeness.errors import LikenessError
from likeness.gallery.base import Finding
from likeness.gallery.elastic import audit, erasure, faces, layout, people
from likeness.gallery.elastic.changes import Changes
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.leases import Lease
from likeness.gallery.elastic.searching import Searcher
from likeness.gallery.elastic.store import Overtaken, Pit, Store
from likeness.gallery.forecast import Forecast, picture_bytes
from likeness.gallery.recall import probes_near, recall_finding
from likeness.types import Vector

_MOST_PROBES = 200
_RECORD_BYTES = 600
"""What a document of a face takes beside its vector and picture."""
_OWNERS_AT_ONCE = 1_000


def run(store: Store, changes: Changes, maintenance: Lease, searcher: Searcher, *, sample: int) -> list[Finding]:
    """See `Gallery.check`. Also finishes what killed processes left."""
    findings: list[Finding] = []

    def look(name: str, glance: Callable[[], Finding]) -> None:
        try:
            findings.append(glance())
        except LikenessError as error:
            findings.append(Finding(name, False, str(error)))
        except Overtaken as error:
            findings.append(Finding(name, False, f"not checked: {error} is not there (any more)"))

    look("indexes", lambda: _indexes(store))
    look("changes", lambda: _changes(changes))
    look("record", lambda: _record(store, changes))
    look("vectors", lambda: store.at_present(lambda head: _vectors(store, head, sample)))
    look("audit trail", lambda: audit.verify(store).finding)
    look("erasures", lambda: _erasures(store, maintenance))
    look("index", lambda: store.at_present(lambda head: _index(store, head, searcher)))
    look("search", lambda: store.at_present(lambda head: _recall(store, head, searcher, sample)))
    return findings


def _indexes(store: Store) -> Finding:
    rows, head = layout.told(store), store.head()[0]
    wanted = {store.meta, store.people, store.notes, store.audit, *head.indexes}
    if lacking := sorted(wanted - {row["index"] for row in rows}):
        return Finding("indexes", False, f"not there: {', '.join(lacking)}")
    red = [row["index"] for row in rows if row["health"] == "red"]
    if red:
        return Finding("indexes", False, f"a part of {', '.join(red)} is not there: see the cluster's health")
    single = [row["index"] for row in rows if row["health"] == "yellow"]
    words = f"{len(rows)} are there"
    return Finding("indexes", True, f"{words}; without the copies asked for: {', '.join(single)}" if single else words)


def _changes(changes: Changes) -> Finding:
    changes.finish_abandoned()
    return Finding("changes", True, "none is half-done")


def _record(store: Store, changes: Changes) -> Finding:
    """Faces, people and names against each other, as they were at one moment at which nobody changed them."""
    with ExitStack() as stack:
        with changes.begin() as change:
            head = change.head
            store.refresh(head.index, store.people)
            rows, persons = (stack.enter_context(store.point_in_time(index)) for index in (head.index, store.people))
        return _compared(store, head, rows, persons)


def _compared(store: Store, head: Head, rows: Pit, persons: Pit) -> Finding:
    counted = store.count(rows, {"bool": {"filter": _counting(head)}})
    bare = [{"bool": {"must_not": [{"exists": {"field": "vector"}}]}}]
    blind = store.count(rows, {"bool": {"filter": [*_counting(head), *bare]}})
    lost = 0
    for owners in _owners(store, head, rows):
        store.keep(persons)
        there = _there(store, head, persons, list(owners))
        lost += sum(count for owner, count in owners.items() if owner not in there)
    unnamed = _unnamed(store, head, persons)
    wrong = [f"{abs(counted - head.faces)} faces more or fewer than were counted"] if counted != head.faces else []
    wrong += [f"{lost} faces without a person"] if lost else []
    wrong += [f"{blind} faces without a vector"] if blind else []
    wrong += [f"{unnamed} {'person' if unnamed == 1 else 'people'} whom their name does not find"] if unnamed else []
    words = ", ".join(wrong) or f"each of {counted:,} faces has its person and vector, and each person their name"
    return Finding("record", not wrong, words)


def _counting(head: Head) -> list[dict[str, Any]]:
    return [{"term": {"kind": {"value": "face"}}}, people.visible(head)]


def _persons(head: Head) -> list[dict[str, Any]]:
    return [{"term": {"kind": {"value": "person"}}}, people.visible(head)]


def _owners(store: Store, head: Head, rows: Pit) -> Iterator[dict[str, int]]:
    """Whose faces there are, with how many, some at a time."""
    after: dict[str, Any] = {}
    while True:
        paged = {"size": _OWNERS_AT_ONCE, "sources": [{"person": {"terms": {"field": "person"}}}], **after}
        answer = store.search(
            rows,
            query={"bool": {"filter": _counting(head)}},
            size=0,
            track_total_hits=False,
            aggregations={"owners": {"composite": paged}},
        )["aggregations"]["owners"]
        if answer["buckets"]:
            yield {bucket["key"]["person"]: bucket["doc_count"] for bucket in answer["buckets"]}
        if "after_key" not in answer:
            return
        after = {"after": answer["after_key"]}


def _there(store: Store, head: Head, persons: Pit, ids: list[str]) -> set[str]:
    """Those of some people who are there."""
    query = {"bool": {"filter": [{"terms": {"id": ids}}, *_persons(head)]}}
    hits = store.search(persons, query=query, size=len(ids), source={"includes": ["id"]}, track_total_hits=False)
    return {hit["_source"]["id"] for hit in hits["hits"]["hits"]}


def _unnamed(store: Store, head: Head, persons: Pit) -> int:
    """How many people the document that stands for their name does not tell of."""
    lost, after = 0, None
    query = {"bool": {"filter": _persons(head)}}
    while page := store.pages(
        persons, query, ("id",), after=after, size=_OWNERS_AT_ONCE, fields=("id", "held"), limit=_OWNERS_AT_ONCE
    ):
        bodies = [hit["_source"] for hit in page]
        wanted = {people.name_id(head, body["held"]["name"]): body["id"] for body in bodies}
        named = store.search(
            persons,
            query={"ids": {"values": list(wanted)}},
            size=len(wanted),
            source={"includes": ["person"]},
            track_total_hits=False,
        )["hits"]["hits"]
        told = {hit["_id"]: hit["_source"].get("person") for hit in named}
        lost += len(page) - sum(told.get(name) == id_ for name, id_ in wanted.items())
        after = page[-1]["sort"]
    return lost


def _sample(store: Store, head: Head, count: int) -> Vector:
    """Vectors of about so many faces, spread evenly over all numbers that faces have had."""
    found: list[Vector] = []
    step = max(1, head.last_face // max(1, count))
    per_page = max(1, min(count, 100))
    for first in range(0, head.last_face, step * per_page):
        wanted = [number + 1 for number in range(first, min(head.last_face, first + step * per_page), step)]
        query = {"bool": {"filter": [{"terms": {"id": wanted}}, *_counting(head)]}}
        hits = store.pages(head.index, query, ("id",), fields=faces.FIELDS)
        found += [faces.as_face(hit["_source"]).embedding for hit in hits]
    return np.stack(found[:count]) if found else np.empty((0, head.dimension), np.float32)


def _vectors(store: Store, head: Head, sample: int) -> Finding:
    vectors = _sample(store, head, sample)
    wrong = int(np.count_nonzero(np.abs(np.linalg.norm(vectors, axis=1) - 1) > 1e-3))
    looked = len(vectors)
    words = f"{wrong:,} of {looked:,} looked at are not of unit length" if wrong else f"{looked:,} looked at, all well"
    return Finding("vectors", not wrong, words)


def _erasures(store: Store, maintenance: Lease) -> Finding:
    before = sorted({path for _, body in erasure.pending(store) for path in body["paths"]})
    with maintenance.hold() as held:
        reached = erasure.finish(store, held)
    left = {path for _, body in erasure.pending(store) for path in body["paths"]}
    if left:
        places = ", ".join(place for place in reached.not_found if place.partition(":")[2] in left)
        return Finding("erasures", False, f"unfinished in {places}: run `likeness gallery check` on that machine")
    done = f"finished in {', '.join(before)}" if before else "none was unfinished"
    if reached.not_found:
        done += f"; no snapshot found at {', '.join(reached.not_found)}: a copy that was moved is out of reach"
    return Finding("erasures", True, done)


def estimate_bytes(kind: str, faces: int, dimension: int, m: int) -> tuple[int, int]:
    """About what the vectors of so many faces take in memory (off the heap) and on disk, by the vendor's formulas."""
    each = {"int8": dimension + 4, "int4": dimension // 2 + 4, "bbq": dimension // 8 + 14}
    quantised = each.get(kind.partition("_")[0], 0)
    graph = 4 * m if kind.endswith("hnsw") else 0
    exact = 4 * dimension
    return faces * ((quantised or exact) + graph), faces * (exact + quantised + graph)


def forecast(store: Store, count: int) -> Forecast:
    """See `Gallery.forecast`: memory is outside the heap; pictures stand in documents as text, a third longer."""
    head, options = store.head()[0], store.address.options
    store.refresh(head.index)
    hits = store.search(head.index, query={"match_all": {}}, size=100, source={"includes": ["held"]})["hits"]["hits"]
    pictures = [3 * len(hit["_source"].get("held", {}).get("crop", "")) // 4 for hit in hits]
    picture = picture_bytes([size for size in pictures if size])
    graph, links = layout.graph_of(store, head)
    memory, disk = estimate_bytes(graph, count, head.dimension, links)
    kind = "exact" if count <= options.exact else graph
    return Forecast(count, kind, memory, disk + count * (4 * picture // 3 + _RECORD_BYTES), picture)


def _index(store: Store, head: Head, searcher: Searcher) -> Finding:
    options = store.address.options
    graph, links = layout.graph_of(store, head)
    memory, disk = estimate_bytes(graph, max(head.faces, 1), head.dimension, links)
    words = (
        f"exact search is used up to {options.exact:,} faces"
        if searcher.mode(head) == "exact"
        else f"{graph}, {options.oversample:g} times as many faces scored again with full precision"
    )
    room = f"the vectors of {head.faces:,} faces want about {memory / 1e6:,.1f} MB of memory outside the heap"
    return Finding("index", True, f"{words}; {room} and {disk / 1e6:,.1f} MB of disk a copy, pictures not counted")


def _recall(store: Store, head: Head, searcher: Searcher, sample: int) -> Finding:
    """The first ten people of search as people get it, against comparing every face."""
    probes = _sample(store, head, min(sample, _MOST_PROBES))
    if not len(probes):
        return recall_finding([], [])
    probes = probes_near(probes)
    wanted = searcher.search(probes, 10, (), way="exact")
    got = searcher.search(probes, 10, ())
    return recall_finding(*([[hit.similarity for hit in hits] for hits in answer] for answer in (got, wanted)))
