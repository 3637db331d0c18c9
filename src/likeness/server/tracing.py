"""OpenTelemetry traces of requests, where they are asked for (extra `otel`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from likeness.errors import ExtraMissing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

_PERSONAL = (
    "http.url", "http.target", "http.user_agent", "net.peer.ip", "net.peer.port", "url.full", "url.path", "url.query",
    "user_agent.original", "client.address", "client.port",
)  # fmt: skip


def trace(app: FastAPI, exporter: SpanExporter | None = None) -> Callable[[], None]:
    """Send a span for each request to `exporter`, or the collector that `OTEL_EXPORTER_OTLP_ENDPOINT` names.

    Returns what sends the last ones, to be called at the end. Spans carry routes, methods and statuses; headers and
    bodies are not captured, and of addresses neither the query nor the path, which may name people.

    Raises:
        ExtraMissing: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ExtraMissing(f"traces need {error.name}", hint="pip install 'likeness[otel]'") from error
    provider = TracerProvider(resource=Resource.create({"service.name": "likeness"}))
    provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=provider, server_request_hook=hide_addresses, excluded_urls="/v1/health,/v1/ready,/metrics"
    )
    return provider.shutdown


def hide_addresses(span: Span, scope: dict[str, Any]) -> None:
    """Take out of a request's span what may name people: its whole path, its query, and who asked from where."""
    for name in _PERSONAL:
        if name in (getattr(span, "attributes", None) or {}):
            span.set_attribute(name, "")
