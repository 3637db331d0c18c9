"""The indexes of the stand-in for Elasticsearch: documents with versions, seen by searches after a refresh only."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from elastic_queries import BadRequest

SHARDS = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}


class Refusal(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.kind = status, kind

    def cause(self) -> dict[str, Any]:
        return {"type": self.kind, "reason": str(self)}


class Doc(NamedTuple):
    source: dict[str, Any]
    seq: int
    version: int


@dataclass(slots=True)
class Index:
    """Documents, and what searches see of them."""

    name: str
    mappings: dict[str, Any]
    settings: dict[str, Any]
    docs: dict[str, Doc] = field(default_factory=dict)
    seen: dict[str, Doc] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    next_seq: int = 0

    def refresh(self) -> None:
        self.seen = dict(self.docs)

    def write(self, op: str, id_: str, source: dict[str, Any] | None, condition: dict[str, Any]) -> dict[str, Any]:
        """Carry out `index`, `create`, `update` or `delete`; the answer as the vendor words it.

        Raises:
            Refusal: a conflict, a document that does not fit the mapping, or one that is not there.
        """
        old = self.docs.get(id_)
        self._expect(op, id_, old, condition)
        if op == "delete" and old is None:
            return self._answer(id_, "not_found", 404, self._next(id_))
        if op == "update":
            if old is None:
                raise Refusal(404, "document_missing_exception", f"[{id_}]: document missing")
            source = {**old.source, **(source or {}).get("doc", {})}
        seq = self._next(id_)
        if op == "delete":
            del self.docs[id_]
            return self._answer(id_, "deleted", 200, seq)
        assert source is not None
        self._expect_mapped(source)
        self.docs[id_] = Doc(source, seq, self.versions[id_])
        return self._answer(id_, "updated" if old else "created", 200 if old else 201, seq)

    def _next(self, id_: str) -> int:
        seq, self.next_seq = self.next_seq, self.next_seq + 1
        self.versions[id_] = self.versions.get(id_, 0) + 1
        return seq

    def _expect(self, op: str, id_: str, old: Doc | None, condition: dict[str, Any]) -> None:
        clash = op == "create" and old is not None
        if "if_seq_no" in condition:
            there = (old.seq, 1) if old else (-2, 0)
            clash = there != (int(condition["if_seq_no"]), int(condition["if_primary_term"]))
        if clash:
            raise Refusal(409, "version_conflict_engine_exception", f"[{id_}]: version conflict")

    def _expect_mapped(self, source: dict[str, Any]) -> None:
        properties = self.mappings.get("properties", {})
        for name, value in source.items():
            if name not in properties:
                if self.mappings.get("dynamic") == "strict":
                    raise Refusal(400, "strict_dynamic_mapping_exception", f"[{name}] is not allowed")
                continue
            kind = properties[name]["type"]
            fits = {
                "long": lambda value: isinstance(value, int) and -(2**63) <= value < 2**63,
                "integer": lambda value: isinstance(value, int) and -(2**31) <= value < 2**31,
                "keyword": lambda value: isinstance(value, str) and len(value.encode()) <= 32_766,
                "object": lambda value: isinstance(value, dict),
                "dense_vector": lambda value, name=name: len(value) == properties[name]["dims"] and any(value),
            }[kind]
            if value is not None and not fits(value):
                raise Refusal(400, "document_parsing_exception", f"failed to parse field [{name}] of type [{kind}]")

    def _answer(self, id_: str, result: str, status: int, seq: int) -> dict[str, Any]:
        return {
            "_index": self.name,
            "_id": id_,
            "_version": self.versions[id_],
            "result": result,
            "_shards": {"total": 1, "successful": 1, "failed": 0},
            "_seq_no": seq,
            "_primary_term": 1,
            "status": status,
        }


@dataclass(slots=True)
class Indexes:
    """All indexes, and the aliases that name some of them."""

    by_name: dict[str, Index] = field(default_factory=dict)
    aliases: dict[str, set[str]] = field(default_factory=dict)

    def named(self, expression: str, *, missing_is_fine: bool = False) -> list[Index]:
        """The indexes that a list of names, patterns and aliases stands for.

        Raises:
            Refusal: there is no index of a name.
        """
        found: dict[str, Index] = {}
        for part in expression.split(","):
            if "*" in part:
                found |= {name: index for name, index in self.by_name.items() if fnmatch.fnmatch(name, part)}
            elif part in self.aliases:
                found |= {name: self.by_name[name] for name in sorted(self.aliases[part])}
            elif part in self.by_name:
                found[part] = self.by_name[part]
            elif not missing_is_fine:
                raise Refusal(404, "index_not_found_exception", f"no such index [{part}]")
        return list(found.values())

    def one(self, name: str) -> Index:
        """The index to write into; unlike a cluster's default, none is made of itself."""
        found = self.named(name)
        if len(found) != 1:
            raise Refusal(400, "illegal_argument_exception", f"[{name}] stands for {len(found)} indexes")
        return found[0]

    def make(self, name: str, told: dict[str, Any]) -> None:
        if name in self.by_name:
            raise Refusal(400, "resource_already_exists_exception", f"index [{name}] already exists")
        for at, kind in told.get("mappings", {}).get("properties", {}).items():
            if kind["type"] == "dense_vector" and not 1 <= kind["dims"] <= 4096:
                raise BadRequest("mapper_parsing_exception", f"[{at}] has dims {kind['dims']}")
        self.by_name[name] = Index(name, told.get("mappings", {}), told.get("settings", {}))

    def drop(self, index: Index) -> None:
        del self.by_name[index.name]
        for names in self.aliases.values():
            names.discard(index.name)
        self.aliases = {alias: names for alias, names in self.aliases.items() if names}

    def change_aliases(self, actions: list[dict[str, Any]]) -> None:
        for action in actions:
            ((kind, told),) = action.items()
            names = {index.name for index in self.named(told["index"])}
            held = self.aliases.setdefault(told["alias"], set())
            if kind == "remove" and not names & held and told.get("must_exist", True):
                raise Refusal(404, "aliases_not_found_exception", f"aliases [{told['alias']}] missing")
            self.aliases[told["alias"]] = held - names if kind == "remove" else held | names
        self.aliases = {alias: names for alias, names in self.aliases.items() if names}
