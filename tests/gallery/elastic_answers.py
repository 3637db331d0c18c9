"""What the stand-in for Elasticsearch answers to each route."""

from __future__ import annotations

import math
import re
import secrets
import time
from typing import Any

import numpy as np
from elastic_indexes import SHARDS, Doc, Index, Indexes, Refusal
from elastic_queries import COSINE, BadRequest, Source, aggregated, cosines, filtered, matcher, ordered

_PATHS = (
    "/", "/_aliases", "/_bulk", "/_pit", "/_search", "/_cat/indices/{index}", "/{index}/_doc/{id}", "/{index}/_mget",
    "/{index}/_search", "/{index}/_refresh", "/{index}/_mapping", "/{index}/_pit", "/{index}",
)  # fmt: skip
ROUTES = [(path, re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))) for path in _PATHS]
_NAMES = {"/": "info", "/_cat/indices/{index}": "cat"}
_MOST_HITS = 10_000
Rows = list[tuple[str, Source]]
Scores = dict[str, float | None]


class Answers:
    """The state of the stand-in, and its answers."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.indexes = Indexes()
        self.pits: dict[str, tuple[float, dict[str, dict[str, Doc]]]] = {}
        self.pit_life_s = math.inf
        """How long a point in time lives that nobody asks, in place of what is asked for."""

    def answer(
        self, method: str, route: str, parts: dict[str, str], query: dict[str, str], body: Any, spoilt: bool
    ) -> tuple[int, Any]:
        """Status and body of the answer.

        Raises:
            Refusal, BadRequest: an error that the vendor's server would answer with.
        """
        if route == "/_bulk":
            return 200, self._bulk(body, query, spoilt)
        if route == "/{index}":
            return self._index(method, parts["index"], query, body)
        if route == "/{index}/_doc/{id}":
            return self._document(method, parts, query, body)
        if route == "/_pit":
            return 200, {"succeeded": self.pits.pop(body["id"], None) is not None, "num_freed": 1}
        if route == "/_search":
            return 200, self._searched(body)
        name = _NAMES.get(route, route.rpartition("/")[2].removeprefix("_"))
        return 200, getattr(self, f"_{name}")(parts.get("index", ""), query, body)

    def _info(self, *_: Any) -> dict[str, Any]:
        version = {
            "number": self.version,
            "build_flavor": "default",
            "build_type": "tar",
            "build_hash": "0",
            "build_date": "2026-01-01T00:00:00Z",
            "build_snapshot": False,
            "lucene_version": "10.2.2",
            "minimum_wire_compatibility_version": "8.19.0",
            "minimum_index_compatibility_version": "8.0.0",
        }
        names = {"name": "stand-in", "cluster_name": "tests", "cluster_uuid": "0", "tagline": "for tests"}
        return {**names, "version": version}

    def _index(self, method: str, name: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        if method == "PUT":
            self.indexes.make(name, body or {})
            return 200, {"acknowledged": True, "shards_acknowledged": True, "index": name}
        if method == "DELETE":
            if name in self.indexes.aliases or "*" in name:
                raise Refusal(400, "illegal_argument_exception", f"[{name}] is not the name of an index")
            for index in self.indexes.named(name, missing_is_fine=query.get("ignore_unavailable") == "true"):
                self.indexes.drop(index)
            return 200, {"acknowledged": True}
        raise Refusal(400, "illegal_argument_exception", f"not made here: {method} of an index")

    def _document(self, method: str, parts: dict[str, str], query: dict[str, str], body: Any) -> tuple[int, Any]:
        index, id_ = self.indexes.one(parts["index"]), parts["id"]
        if method == "GET":
            told = _told(index, id_, None)
            return (200 if told["found"] else 404), told
        op = "delete" if method == "DELETE" else query.get("op_type", "index")
        answer = index.write(op, id_, body, query)
        if query.get("refresh") in ("true", "wait_for"):
            index.refresh()
        return answer.pop("status"), answer

    def _bulk(self, lines: list[Any], query: dict[str, str], spoilt: bool) -> dict[str, Any]:
        items: list[dict[str, Any]] = []
        waiting = iter(lines)
        for line in waiting:
            ((op, told),) = line.items()
            body = None if op == "delete" else next(waiting)
            base = {"_index": told["_index"], "_id": told["_id"]}
            if spoilt and len(items) % 2:
                cause = {"type": "es_rejected_execution_exception", "reason": "too much"}
                items.append({op: {**base, "status": 429, "error": cause}})
                continue
            try:
                index = self.indexes.one(told["_index"])
                items.append({op: index.write(op, told["_id"], body, told)})
                if query.get("refresh") in ("true", "wait_for"):
                    index.refresh()
            except Refusal as error:
                items.append({op: {**base, "status": error.status, "error": error.cause()}})
        return {"took": 1, "errors": any("error" in each for item in items for each in item.values()), "items": items}

    def _mget(self, _: str, __: dict[str, str], body: Any) -> dict[str, Any]:
        docs = []
        for asked in body["docs"]:
            try:
                docs.append(_told(self.indexes.one(asked["_index"]), asked["_id"], asked.get("_source")))
            except Refusal as error:
                docs.append(
                    {"_index": asked["_index"], "_id": asked["_id"], "error": error.cause() | {"root_cause": []}}
                )
        return {"docs": docs}

    def _refresh(self, name: str, *_: Any) -> dict[str, Any]:
        for index in self.indexes.named(name):
            index.refresh()
        return {"_shards": {"total": 1, "successful": 1, "failed": 0}}

    def _mapping(self, name: str, *_: Any) -> dict[str, Any]:
        return {index.name: {"mappings": index.mappings} for index in self.indexes.named(name)}

    def _pit(self, name: str, *_: Any) -> dict[str, Any]:
        id_ = secrets.token_hex(8)
        self.pits[id_] = time.monotonic(), {index.name: index.seen for index in self.indexes.named(name)}
        return {"id": id_, "_shards": SHARDS}

    def _aliases(self, _: str, __: dict[str, str], body: Any) -> dict[str, Any]:
        self.indexes.change_aliases(body["actions"])
        return {"acknowledged": True}

    def _cat(self, name: str, *_: Any) -> list[dict[str, Any]]:
        return [
            {"index": index.name, "health": "green", "docs.count": str(len(index.seen)),
             "store.size": str(250 + sum(len(str(doc.source)) for doc in index.docs.values()))}
            for index in self.indexes.named(name)
        ]  # fmt: skip

    def _search(self, name: str, query: dict[str, str], body: Any) -> dict[str, Any]:
        seen = {index.name: index.seen for index in self.indexes.named(name)}
        return self._found(seen, body or {})

    def _searched(self, body: Any) -> dict[str, Any]:
        used, seen = self.pits.pop(body["pit"]["id"], (-math.inf, {}))
        if time.monotonic() - used > self.pit_life_s or not seen:
            raise Refusal(404, "search_context_missing_exception", "No search context found")
        after = body.get("search_after")
        if after is not None and len(after) != len(body["sort"]) + 1:
            raise BadRequest("illegal_argument_exception", "search_after has another length than sort")
        found = self._found(seen, {**body, "search_after": after[:-1]} if after else body)
        id_ = secrets.token_hex(8)  # another one each time, as the vendor may
        self.pits[id_] = time.monotonic(), seen
        for hit in found["hits"]["hits"]:
            hit.get("sort", []).append(0)  # the tie-breaker that the vendor adds
        return {**found, "pit_id": id_}

    def _found(self, seen: dict[str, dict[str, Doc]], body: dict[str, Any]) -> dict[str, Any]:
        if body.get("size", 10) > _MOST_HITS:
            raise BadRequest("illegal_argument_exception", "Result window is too large")
        ((name, docs),) = seen.items()
        held = [(id_, doc.source) for id_, doc in docs.items()]
        vectors = [at for at, kind in self._properties(name).items() if kind["type"] == "dense_vector"]
        scores: Scores = {}
        if "knn" in body:
            rows = _nearest(held, body["knn"], scores)
        else:
            rows = _queried(held, body.get("query", {"match_all": {}}), scores)
        total = len(rows)
        if "sort" in body:
            ranked = ordered(rows, body["sort"], body.get("search_after"))
        else:
            ranked = [(id_, source, None) for id_, source in sorted(rows, key=lambda row: -(scores.get(row[0]) or 0.0))]
        if "collapse" in body:
            ranked = _collapsed(ranked, body["collapse"]["field"])
        hits = [_hit(name, row, scores, body, vectors) for row in ranked[: body.get("size", 10)]]
        answer: dict[str, Any] = {
            "took": 1,
            "timed_out": False,
            "_shards": SHARDS,
            "hits": {"hits": hits, "max_score": hits[0]["_score"] if hits else None},
        }
        if body.get("track_total_hits", True):
            answer["hits"]["total"] = {"value": total, "relation": "eq"}
        if asked := body.get("aggregations") or body.get("aggs"):
            answer["aggregations"] = aggregated(rows, asked)
        return answer

    def _properties(self, name: str) -> dict[str, Any]:
        index = self.indexes.by_name.get(name)
        return index.mappings.get("properties", {}) if index else {}


def _told(index: Index, id_: str, wanted: Any) -> dict[str, Any]:
    """A document as it is; vectors are not shown, as the vendor does from version 9.2 on."""
    doc = index.docs.get(id_)
    base = {"_index": index.name, "_id": id_}
    if doc is None:
        return {**base, "found": False}
    vectors = {at for at, kind in index.mappings.get("properties", {}).items() if kind["type"] == "dense_vector"}
    source = filtered({name: value for name, value in doc.source.items() if name not in vectors}, wanted)
    return {**base, "_version": doc.version, "_seq_no": doc.seq, "_primary_term": 1, "found": True, "_source": source}


def _nearest(
    held: list[tuple[str, Source]], knn: dict[str, Any], scores: dict[str, float | None]
) -> list[tuple[str, Source]]:
    if knn["num_candidates"] < knn["k"] or knn["num_candidates"] > _MOST_HITS:
        raise BadRequest("illegal_argument_exception", "[num_candidates] must be between [k] and 10000")
    filters = knn.get("filter", [])
    wanted = [matcher(each) for each in (filters if isinstance(filters, list) else [filters])]
    rows = [row for row in held if "vector" in row[1] and all(each(*row) for each in wanted)]
    found = cosines((source for _, source in rows), knn["query_vector"])
    best = np.argsort(-found, kind="stable")[: knn["k"]]
    for at in best:
        scores[rows[at][0]] = float(np.float32((1 + found[at]) / 2))
    return [rows[at] for at in best]


def _queried(
    held: list[tuple[str, Source]], query: dict[str, Any], scores: dict[str, float | None]
) -> list[tuple[str, Source]]:
    if "script_score" not in query:
        wanted = matcher(query)
        return [row for row in held if wanted(*row)]
    told = query["script_score"]
    if told["script"]["source"] != COSINE:
        raise BadRequest("script_exception", "not made here")
    wanted = matcher(told["query"])
    rows = [row for row in held if wanted(*row)]
    for (id_, _), cosine in zip(
        rows, cosines((row[1] for row in rows), told["script"]["params"]["probe"]), strict=True
    ):
        scores[id_] = float(np.float32(cosine + np.float32(1)))
    return rows


def _collapsed(ranked: list[Any], name: str) -> list[Any]:
    first: dict[Any, Any] = {}
    for row in ranked:
        first.setdefault(row[1].get(name), row)
    return list(first.values())


def _hit(
    index: str, row: Any, scores: dict[str, float | None], body: dict[str, Any], vectors: list[str]
) -> dict[str, Any]:
    id_, source, sort = row
    hit: dict[str, Any] = {"_index": index, "_id": id_, "_score": scores.get(id_)}
    shown = filtered({name: value for name, value in source.items() if name not in vectors}, body.get("_source"))
    if shown is not None:
        hit["_source"] = shown
    if "docvalue_fields" in body:
        names = [each["field"] for each in body["docvalue_fields"]]
        hit["fields"] = {name: [source[name]] for name in names if name in source}
    if sort is not None:
        hit["sort"] = list(sort)
    return hit
