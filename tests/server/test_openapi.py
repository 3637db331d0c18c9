"""The OpenAPI document keeps its word, and everything is documented."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as effort
from running_server import running
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from likeness.cli.api_reference import written
from likeness.cli.serve import serve
from likeness.server.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
KEPT = (not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance)
EXAMPLES = 4


@pytest.mark.slow
def test_no_request_that_the_document_allows_or_forbids_ends_in_a_fault_of_the_server(serve_settings, probe):
    """Half of the requests with photos bring a real one, so that what comes after reading it is asked too."""
    photo = base64.b64encode(probe.read_bytes()).decode()
    asked = 0
    with running(create_app(serve_settings(), open_access=True)) as address:
        schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
        for found in schema.get_all_operations():
            operation = found.ok()

            @given(case=operation.as_strategy())
            @effort(
                max_examples=EXAMPLES,
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
                    case.body = with_photo(case.body, photo)
                case.validate_response(case.call(base_url=address), checks=KEPT)

            ask()
    assert asked > 100


def with_photo(body: dict, photo: str) -> dict:
    real = {"photo": photo, "image": photo, "first": photo, "second": photo, "photos": [photo]}
    return {name: real.get(name, value) for name, value in body.items()}


def test_the_document_is_openapi_3_1_and_names_every_native_call():
    document = create_app().openapi()
    assert document["openapi"].startswith("3.1")
    for path in ("/v1/identify", "/v1/twins", "/v1/people/{person}/merge", "/api/v1/index"):
        assert path in document["paths"]
    assert {"APIKeyHeader", "HTTPBearer"} == set(document["components"]["securitySchemes"])


def test_every_route_error_and_setting_is_documented():
    page = PAGE.read_text("utf-8")
    assert page == written(page), "run `python -m likeness.cli.api_reference docs/api.md`"


def test_every_option_of_the_command_is_documented():
    page = PAGE.read_text("utf-8")
    own = [name for param in serve.params if param.expose_value for name in param.opts]
    assert [name for name in own if f"`{name}" not in page] == []
