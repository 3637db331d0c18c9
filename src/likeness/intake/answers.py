"""Arrivals and their results as plain data, for the API, webhooks and the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a server without workers has no database of theirs
    from likeness.intake.records import Arrival, ArrivalJob, Records, Result


def photo_dict(records: Records, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """Each arrival with its result, where it has one: never where its file lies."""
    wanted = [arrival.content for arrival in arrivals if arrival.content and arrival.state == "done"]
    found = records.results(wanted)
    return [_photo(arrival, found.get(arrival.content or "")) for arrival in arrivals]


def _photo(arrival: Arrival, result: Result | None) -> dict[str, Any]:
    data: dict[str, Any] = {"id": arrival.id, "place": arrival.place, "state": arrival.state}
    data["sha256"] = arrival.content
    data["ended_at"] = arrival.ended_at.isoformat() if arrival.ended_at else None
    if arrival.code is not None:
        key = "error" if arrival.state == "failed" else "enrolled"
        data[key] = {"code": arrival.code, "message": arrival.reason or ""}
    if result is not None and arrival.name is None:
        data |= {"answered_at": result.answered_at.isoformat(), **result.answer}
    return data


def arrival_dict(records: Records, arrivals: Sequence[Arrival]) -> list[dict[str, Any]]:
    """Arrivals of no job, each with where it came from and its result: for those who look after the storage."""
    return [
        {"uri": arrival.uri, "name": arrival.name} | {key: value for key, value in photo.items() if key != "place"}
        for arrival, photo in zip(arrivals, photo_dict(records, arrivals), strict=True)
    ]


def job_dict(job: ArrivalJob) -> dict[str, Any]:
    """A job as other jobs are shown."""
    ended = job.done + job.failed + job.erased
    result = {"answered": job.done, "failed": job.failed, "erased": job.erased} if job.ended_at else None
    return {
        "id": job.id,
        "kind": "identify",
        "state": job.state,
        "done": ended,
        "total": job.total,
        "created_at": job.created_at,
        "ended_at": job.ended_at,
        "result": result,
        "error": None,
    }
