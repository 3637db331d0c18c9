"""The OpenAPI document keeps its word, and everything is documented."""

from __future__ import annotations

from pathlib import Path

from document_walk import walk

from likeness.cli.api_reference import written
from likeness.cli.serve import serve
from likeness.server.app import create_app

PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def test_no_request_that_the_document_allows_or_forbids_ends_in_a_fault_of_the_server(serve_settings, probe):
    settings = serve_settings(serve_jobs=200)  # five of the calls begin jobs, faster than one machine does them
    assert walk(create_app(settings, open_access=True), probe, examples=6) > 150


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
