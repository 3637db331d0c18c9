"""Requests and answers held against the vendor's own OpenAPI document of Elasticsearch.

The document is read as it is but for three things, each because what it says in words its schemas do not say: `oneOf`
is taken as `anyOf` (a number is both a double and a long there), a bare `{"type": "object"}` stands for any value, and
an object takes no other fields than those that it lists (else a misspelt option would pass). `nullable` is the way of
OpenAPI 3.0 to allow null.
"""

from __future__ import annotations

import json
import os
import re
from functools import cached_property
from pathlib import Path
from typing import Any

import jsonschema_rs

NAME = "elasticsearch-openapi.json"
_COMMON = {"error_trace", "filter_path", "human", "pretty"}
_OPEN = {"indices._types.IndexSettings"}
"""Settings have many names, not all of which are listed: `number_of_shards` is not."""
_CAT = {"format", "bytes"}
"""Of all `_cat` calls; the document does not list them with each."""


class Violation(Exception):
    """A request or an answer that the vendor's document does not allow."""


def document_path() -> Path | None:
    """The vendor's document, below LIKENESS_SPECS (by default ../shared/specs); None where it is not there."""
    root = Path(__file__).resolve().parents[2]
    path = Path(os.environ.get("LIKENESS_SPECS", root.parent / "shared" / "specs")) / NAME
    return path if path.is_file() else None


class Contract:
    """The vendor's document, ready to be held against what is said."""

    def __init__(self, path: Path) -> None:
        self._document = json.loads(path.read_text(encoding="utf-8"))
        self._validators: dict[str | int, Any] = {}

    @cached_property
    def _components(self) -> dict[str, Any]:
        schemas = self._document["components"]["schemas"]
        inherited = set(_inherited(self._document))
        adapted = {name: _adapted(schema) for name, schema in schemas.items()}
        for name, schema in adapted.items():
            if name in _OPEN:
                continue
            if f"#/components/schemas/{name}" not in inherited and _lists_its_fields(schema, adapted):
                schema["unevaluatedProperties"] = False
        return adapted

    def check_request(self, method: str, route: str, query: dict[str, str], body: Any) -> None:
        """Raise unless the document has such a request with such parameters and such a body."""
        operation = self._operation(method, route)
        known = {each["name"]: each["schema"] for each in map(self._resolved, operation.get("parameters", []))}
        allowed = set(known) | _COMMON | (_CAT if route.startswith("/_cat") else set())
        if strange := set(query) - allowed:
            raise Violation(f"{method} {route} has no parameter {sorted(strange)}")
        for name, value in query.items():
            if name in known and not any(self._fits(known[name], each) for each in _readings(value)):
                raise Violation(f"{method} {route}: {name}={value} is not allowed")
        given = operation.get("requestBody")
        if route.endswith("_bulk"):
            self._check_bulk(body)
        elif body is not None:
            if given is None:
                raise Violation(f"{method} {route} takes no body")
            self._check(f"{method} {route} request", self._content(given), body)
        elif given is not None and self._resolved(given).get("required"):
            raise Violation(f"{method} {route} wants a body")

    def check_answer(self, method: str, route: str, status: int, body: Any) -> None:
        """Raise unless the document has such an answer."""
        if status >= 400 and isinstance(body, dict) and "error" in body:
            self._check("error", {"$ref": "#/components/schemas/_types.ErrorCause"}, body["error"])
            return
        if body is None:
            return
        answers = self._operation(method, route)["responses"]
        self._check(f"{method} {route} answer", self._content(answers["200"]), body)

    def _check_bulk(self, lines: list[Any]) -> None:
        waiting: str | None = None
        for line in lines:
            if waiting is None:
                self._check("bulk action", {"$ref": "#/components/schemas/_global.bulk.OperationContainer"}, line)
                (operation,) = line
                waiting = None if operation == "delete" else operation
            else:
                if waiting == "update":
                    self._check("bulk update", {"$ref": "#/components/schemas/_global.bulk.UpdateAction"}, line)
                waiting = None
        if waiting is not None:
            raise Violation("a bulk request ends before its last document")

    def _operation(self, method: str, route: str) -> dict[str, Any]:
        found = self._document["paths"].get(route, {}).get(method.lower())
        if found is None:
            raise Violation(f"there is no {method} {route}")
        return found

    def _resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part]
            node = found
        return node

    def _content(self, node: dict[str, Any]) -> dict[str, Any]:
        content = self._resolved(node).get("content", {})
        return content.get("application/json", {}).get("schema", {})

    def _fits(self, schema: dict[str, Any], value: Any) -> bool:
        return self._validator(schema).is_valid(value)

    def _check(self, what: str, schema: dict[str, Any], value: Any) -> None:
        found = next(iter(self._validator(schema).iter_errors(value)), None)
        if found is not None:
            raise Violation(f"{what}: {found.message[:500]} at {'/'.join(map(str, found.instance_path))}")

    def _validator(self, schema: dict[str, Any]) -> Any:
        key = schema.get("$ref") or id(schema)  # all others are parts of the document, which stays
        if key not in self._validators:
            whole = _adapted(schema)
            if "properties" in whole and "additionalProperties" not in whole:
                whole["additionalProperties"] = False
            whole["components"] = {"schemas": self._components}
            self._validators[key] = jsonschema_rs.Draft202012Validator(whole)
        return self._validators[key]


def _inherited(node: Any) -> list[str]:
    """What other schemas are made of, in an `allOf` of several."""
    found: list[str] = []
    if isinstance(node, dict):
        parts = node.get("allOf", [])
        found += [part["$ref"] for part in parts if "$ref" in part] if len(parts) > 1 else []
        for value in node.values():
            found += _inherited(value)
    elif isinstance(node, list):
        for value in node:
            found += _inherited(value)
    return found


def _lists_its_fields(schema: dict[str, Any], schemas: dict[str, Any]) -> bool:
    """Whether a schema names all fields that an object may have."""
    if schema == {} or "additionalProperties" in schema or "anyOf" in schema:
        return False
    if "$ref" in schema:
        return _lists_its_fields(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "allOf" in schema:
        return all(_lists_its_fields(part, schemas) for part in schema["allOf"])
    return bool(schema.get("properties")) and "_doc" not in schema["properties"]  # a sort names any field


def _adapted(node: Any) -> Any:
    if isinstance(node, list):
        return [_adapted(each) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {
        key: value
        for key, value in node.items()
        if key not in ("description", "deprecated", "default", "discriminator", "externalDocs", "format")
    }
    if kept == {"type": "object"}:
        return {}
    nullable = kept.pop("nullable", False)
    adapted = {"anyOf" if key == "oneOf" else key: _adapted(value) for key, value in kept.items()}
    if nullable:
        return {"anyOf": [adapted, {"type": "null"}]}
    return adapted


def _readings(value: str) -> list[Any]:
    """What a parameter's text may stand for."""
    found: list[Any] = [value, value.split(",")]
    if re.fullmatch(r"true|false|-?\d+(\.\d+)?", value):
        found.append(json.loads(value))
    return found
