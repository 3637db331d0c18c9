"""Traces name routes, and nobody."""

from __future__ import annotations

from fastapi import FastAPI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from likeness.server.tracing import trace


def test_a_request_leaves_a_span_with_its_route_and_without_its_address() -> None:
    app, kept = FastAPI(), InMemorySpanExporter()

    @app.get("/v1/people/{person}")
    async def show(person: str) -> str:
        return person

    flush = trace(app, kept)
    with TestClient(app) as client:
        client.get("/v1/people/Nadia?query=Okafor", headers={"user-agent": "somebody"})
    flush()
    spans = kept.get_finished_spans()
    assert any("/v1/people/{person}" in span.name for span in spans)
    told = " ".join(f"{span.name} {dict(span.attributes or {})}" for span in spans)
    assert not [word for word in ("Nadia", "Okafor", "somebody", "testclient") if word in told]
