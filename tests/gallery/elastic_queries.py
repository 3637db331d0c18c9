"""How the stand-in for Elasticsearch evaluates what our engine asks: filters, vectors, order, groups.

Anything else is refused with an error, so that an engine that asks for more is noticed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

Source = dict[str, Any]
COSINE = "cosineSimilarity(params.probe, 'vector') + 1.0"


class BadRequest(Exception):
    """A request that is answered with 400."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def matcher(query: dict[str, Any]) -> Callable[[str, Source], bool]:
    """Whether a document (id and source) is found by a query."""
    ((kind, told),) = query.items()
    if kind not in _KINDS:
        raise BadRequest("parsing_exception", f"unknown query [{kind}]")
    return _KINDS[kind](told)


def _all_of(queries: Any) -> list[Callable[[str, Source], bool]]:
    return [matcher(each) for each in (queries if isinstance(queries, list) else [queries])]


def _bool(told: dict[str, Any]) -> Callable[[str, Source], bool]:
    if strange := set(told) - {"filter", "must", "must_not"}:
        raise BadRequest("parsing_exception", f"not made here: {strange}")
    wanted = _all_of(told.get("filter", [])) + _all_of(told.get("must", []))
    hidden = _all_of(told.get("must_not", []))
    return lambda id_, source: (
        all(each(id_, source) for each in wanted) and not any(each(id_, source) for each in hidden)
    )


def _term(told: dict[str, Any]) -> Callable[[str, Source], bool]:
    ((name, value),) = told.items()
    wanted = value["value"] if isinstance(value, dict) else value
    return lambda _, source: wanted in _values(source, name)


def _terms(told: dict[str, Any]) -> Callable[[str, Source], bool]:
    ((name, values),) = told.items()
    if len(values) > 65_536:
        raise BadRequest("illegal_argument_exception", "too many terms")
    wanted = set(values)
    return lambda _, source: not wanted.isdisjoint(_values(source, name))


def _range(told: dict[str, Any]) -> Callable[[str, Source], bool]:
    ((name, limits),) = told.items()
    tests = {"gt": lambda a, b: a > b, "gte": lambda a, b: a >= b, "lt": lambda a, b: a < b, "lte": lambda a, b: a <= b}
    return lambda _, source: any(
        all(tests[which](value, limit) for which, limit in limits.items()) for value in _values(source, name)
    )


def _wildcard(told: dict[str, Any]) -> Callable[[str, Source], bool]:
    ((name, options),) = told.items()
    parts = re.findall(r"\\.|\*|\?|[^\\*?]+", options["value"], re.DOTALL)
    pattern = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part[1:] if part[0] == "\\" else part)
        for part in parts
    )
    compiled = re.compile(pattern, re.DOTALL)
    return lambda _, source: any(compiled.fullmatch(value) for value in _values(source, name))


_KINDS: dict[str, Callable[[Any], Callable[[str, Source], bool]]] = {
    "bool": _bool,
    "term": _term,
    "terms": _terms,
    "range": _range,
    "wildcard": _wildcard,
    "exists": lambda told: lambda _, source: bool(_values(source, told["field"])),
    "ids": lambda told: lambda id_, _: id_ in told["values"],
    "match_all": lambda told: lambda _, __: True,
}


def _values(source: Source, name: str) -> list[Any]:
    value = source.get(name)
    return [] if value is None else value if isinstance(value, list) else [value]


def cosines(sources: Iterable[Source], probe: list[float]) -> np.ndarray:
    """The cosine of each vector with the probe, in float32 as the vendor computes."""
    rows = np.array([source["vector"] for source in sources], np.float32)
    asked = np.array(probe, np.float32)
    if not len(rows):
        return np.empty(0, np.float32)
    if rows.shape[1] != len(asked):
        raise BadRequest(
            "query_shard_exception",
            f"the query vector has a different dimension [{len(asked)}] than the index vectors [{rows.shape[1]}]",
        )
    return rows @ asked / np.linalg.norm(rows, axis=1) / np.linalg.norm(asked)


def ordered(
    docs: list[tuple[str, Source]], sort: list[dict[str, Any]], after: list[Any] | None
) -> list[tuple[Any, ...]]:
    """Documents with their sort values, in order, after some values; fields that are missing come last."""
    fields = []
    for each in sort:
        ((name, how),) = each.items()
        fields.append((name, (how if isinstance(how, str) else how.get("order", "asc")) == "desc"))
    if after is not None and len(after) != len(fields):
        raise BadRequest("illegal_argument_exception", "search_after has another length than sort")
    rows = [
        (id_, source, [_values(source, name)[0] if _values(source, name) else None for name, _ in fields])
        for id_, source in docs
    ]
    for at in reversed(range(len(fields))):
        name, falling = fields[at]
        there = [row for row in rows if row[2][at] is not None]
        there.sort(key=lambda row: _order(row[2][at]), reverse=falling)
        rows = there + [row for row in rows if row[2][at] is None]
    if after is None:
        return rows
    if any(falling for _, falling in fields):
        raise BadRequest("illegal_argument_exception", "not made here: search_after downwards")
    return [row for row in rows if None in row[2] or [*map(_order, row[2])] > [*map(_order, after)]]


def _order(value: Any) -> Any:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value


def aggregated(docs: list[tuple[str, Source]], asked: dict[str, Any]) -> dict[str, Any]:
    """Counts by the values of a field."""
    found: dict[str, Any] = {}
    for label, told in asked.items():
        ((kind, options),) = told.items()
        if kind == "terms":
            counts = _counts(docs, options["field"])
            top = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
            shown = top[: options.get("size", 10)]
            found[label] = {
                "doc_count_error_upper_bound": 0,
                "sum_other_doc_count": sum(count for _, count in top[len(shown) :]),
                "buckets": [{"key": key, "doc_count": count} for key, count in shown],
            }
        elif kind == "composite":
            ((name, source),) = options["sources"][0].items()
            after = options.get("after", {}).get(name, "")
            keys = sorted(item for item in _counts(docs, source["terms"]["field"]).items() if item[0] > after)
            shown = keys[: options["size"]]
            found[label] = {"buckets": [{"key": {name: key}, "doc_count": count} for key, count in shown]}
            if shown:
                found[label]["after_key"] = {name: shown[-1][0]}
        else:
            raise BadRequest("parsing_exception", f"not made here: {kind}")
    return found


def _counts(docs: list[tuple[str, Source]], name: str) -> dict[Any, int]:
    counts: dict[Any, int] = {}
    for _, source in docs:
        for value in _values(source, name):
            counts[value] = counts.get(value, 0) + 1
    return counts


def filtered(source: Source, wanted: Any) -> Source | None:
    """What `_source` asks for."""
    if wanted in (True, None, "true"):
        return source
    if wanted in (False, "false"):
        return None
    names = (
        wanted if isinstance(wanted, list) else [wanted] if isinstance(wanted, str) else wanted.get("includes", ["*"])
    )
    return {key: value for key, value in source.items() if any(fnmatch.fnmatch(key, name) for name in names)}
