"""Prometheus metrics: requests by route, time by stage, what waits, what the gallery holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

Stage = Literal["wait", "look", "search", "enrol"]
"""In the queue; decoding, finding and embedding faces; comparing with the gallery; enrolling, until it is durable."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_PHOTOS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    """The metrics of one server; each has a registry of its own, so that several can live in a process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "likeness_requests", "Requests answered.", ("route", "method", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "likeness_request_seconds", "From a request's arrival to its answer's end.", ("route",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.stage_seconds = Histogram(
            "likeness_stage_seconds", "Time in a stage: wait per task, look, search and enrol per batch.", ("stage",),
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self.batch_photos = Histogram(
            "likeness_batch_photos", "Photos looked at together.", ("lane",), buckets=_PHOTOS, registry=self.registry
        )
        self.waiting = Gauge("likeness_photos_waiting", "Photos that wait to be looked at.", registry=self.registry)
        self.refused = Counter(
            "likeness_refused", "Tasks that were not taken: overloaded, or about to end.", ("why",),
            registry=self.registry,
        )  # fmt: skip
        self.faces = Counter("likeness_faces", "Faces found on photos.", registry=self.registry)
        self.enrolled = Counter("likeness_enrolled", "Photos offered for enrolment, by outcome.", ("outcome",),
                                registry=self.registry)  # fmt: skip

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Measure how long a stage takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.stage_seconds.labels(stage).observe(time.perf_counter() - began)

    def text(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        return generate_latest(self.registry)
