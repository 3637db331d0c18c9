"""Requests of all kinds that an OpenAPI document allows and forbids, and whether the answers keep its word."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from running_server import running

KEPT = (not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance)
_ONE = ("photo", "image", "first", "second", "file", "source_image", "target_image", "img", "img1", "img2")


def walk(app: FastAPI, photo: Path, *, examples: int, of: Callable[[dict[str, Any]], bool] = lambda call: True) -> int:
    """Ask every call of the document (with `of`, only some) so; half of the requests with photos bring a real one.

    Returns how often it was asked.
    """
    real = base64.b64encode(photo.read_bytes()).decode()
    asked = 0
    with running(app) as address:
        schema = schemathesis.openapi.from_dict(app.openapi())
        for found in schema.get_all_operations():
            operation = found.ok()
            if not of(operation.definition.raw):
                continue

            @given(case=operation.as_strategy())
            @effort(
                max_examples=examples,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate],
                derandomize=True,
                database=None,
            )
            def ask(case: schemathesis.Case) -> None:
                nonlocal asked
                asked += 1
                if asked % 2 and case.media_type == "application/json" and isinstance(case.body, dict):
                    case.body = _with_photo(case.body, real)
                case.validate_response(case.call(base_url=address, timeout=60), checks=KEPT)

            ask()
    return asked


def _with_photo(body: dict[str, Any], photo: str) -> dict[str, Any]:
    real = dict.fromkeys(_ONE, photo) | {"photos": [photo]}
    return {name: real.get(name, value) for name, value in body.items()}
