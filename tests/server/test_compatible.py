"""Both compatible families together: their OpenAPI document keeps its word, and their page names every route."""

from __future__ import annotations

from pathlib import Path

from document_walk import walk

from likeness.cli.api_reference import compatible_reference, written
from likeness.server.app import create_app
from likeness.server.parts import COMPATIBLE, compatible_part

PAGE = Path(__file__).parents[2] / "docs" / "compatible.md"


def test_no_request_to_a_compatible_route_ends_in_a_fault_of_the_server(serve_settings, probe):
    app = create_app(serve_settings(), open_access=True, parts=[compatible_part(name) for name in COMPATIBLE])
    asked = walk(app, probe, examples=4, of=lambda call: bool({*COMPATIBLE} & {*call.get("tags", ())}))
    assert asked > 60


def test_every_compatible_route_is_documented():
    page = PAGE.read_text("utf-8")
    assert page == written(page, compatible_reference), "run `python -m likeness.cli.api_reference docs/compatible.md`"
