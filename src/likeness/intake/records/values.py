"""What the records say: jobs, arrivals, results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

State = Literal["waiting", "found", "done", "failed", "erased"]
"""Of an arrival: put in the queue; its faces are cut out; answered (or enrolled); refused with a reason; it was
answered, and the answer was erased since."""

OPEN: tuple[State, ...] = ("waiting", "found")


@dataclass(frozen=True, slots=True)
class Arrival:
    """One photo that arrived.

    Attributes:
        uri: where its file lies; empty for one that was sent, whose file lies in the spool.
        name: the person whom it shows, where it came to be enrolled.
        content: sha256 of the file, once it was read; all arrivals of one content share one result.
        again: whether it is to be answered anew though its content has a result.
        code, reason: why it failed, or what became of the enrolment.
    """

    id: str
    uri: str
    state: State
    job: str | None = None
    place: int = 0
    name: str | None = None
    again: bool = False
    content: str | None = None
    code: str | None = None
    reason: str | None = None
    created_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Whether it still waits for its answer."""
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class ArrivalJob:
    """Photos that arrived together, for one caller; `done`, `failed` and `erased` count those that are not open."""

    id: str
    owner: str
    total: int
    done: int
    failed: int
    erased: int
    created_at: datetime
    ended_at: datetime | None = None
    cancelled: bool = False
    callback: str | None = None

    @property
    def state(self) -> Literal["queued", "running", "done", "cancelled"]:
        """As of other jobs."""
        if self.cancelled:
            return "cancelled"
        if self.ended_at is not None:
            return "done"
        return "running" if self.done or self.failed or self.erased else "queued"


@dataclass(frozen=True, slots=True)
class Result:
    """The answer about a photo: `answer` is plain data (`answers`, `models`, `size`), `people` who is named in it."""

    content: str
    faces: int
    answer: Mapping[str, Any]
    answered_at: datetime
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """A caller who is to be told of a photo's end, or (`photo` is None) of the whole job's."""

    id: str
    job: str
    photo: str | None
    callback: str
    told_at: datetime | None = None
