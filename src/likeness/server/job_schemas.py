"""Answers about long work and arrivals, as OpenAPI describes them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from likeness.server.schemas import Answering, IdentityAnswer, Reason


class JobAnswer(Answering):
    """A long piece of work."""

    id: str
    kind: Literal["snapshot", "re-embed", "enrol", "check", "purge", "identify"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    done: int
    total: int | None
    created_at: datetime
    ended_at: datetime | None
    result: dict[str, Any] | None = None
    error: Reason | None = None


class JobsAnswer(Answering):
    """The latest jobs, newest first."""

    jobs: list[JobAnswer]


class ArrivedAnswer(Answering):
    """A photo that workers do: its answer once it is `done`, the reason where it has none."""

    id: str
    state: Literal["waiting", "found", "done", "failed", "erased"]
    sha256: str | None = None
    ended_at: datetime | None = None
    answered_at: datetime | None = None
    size: list[int] | None = None
    answers: list[IdentityAnswer] | None = None
    models: dict[str, str] | None = None
    error: Reason | None = None


class JobPhotoAnswer(ArrivedAnswer):
    """A photo of a job."""

    place: int


class ArrivalAnswer(ArrivedAnswer):
    """A photo that came by itself: where it lies, whom it was to enrol, and what became of that."""

    uri: str
    name: str | None = None
    enrolled: Reason | None = None


class ArrivalsAnswer(Answering):
    """Photos that came by themselves, in the order of their ends; `after` asks for those behind the last."""

    photos: list[ArrivalAnswer]
    after: str | None


class JobPhotosAnswer(Answering):
    """Photos of a job, and where the next page begins."""

    photos: list[JobPhotoAnswer]
    after: int | None
