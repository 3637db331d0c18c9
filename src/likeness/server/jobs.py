"""Long work in the background: queued, one at a time, with progress, result and cancellation.

Jobs live in the memory of the process. When the server ends, those that wait are cancelled and the one that runs stops
at its next step; what it had made durable stays, and the same photos sent again are duplicates.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from likeness.errors import JobNotFound, LikenessError
from likeness.server.failures import public_dict
from likeness.server.lanes import Lane, Task

log = logging.getLogger("likeness.server")

Kind = Literal["snapshot", "re-embed", "enrol", "check", "purge"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
REMEMBERED = 200
"""Ended jobs that can still be asked about."""


class Stopped(Exception):
    """A job was cancelled while it ran."""


@dataclass(slots=True, eq=False)
class Job:
    """One piece of long work.

    Attributes:
        owner: who asked for it, as the audit trail calls them.
        done, total: progress, in faces or photos; total is None where it is not known.
        result: plain data, once it is done.
        place: in the queue; given up when the job is cancelled, so that another one has room.
    """

    kind: Kind
    owner: str
    work: Callable[[Job], dict[str, Any]] | None
    total: int | None = None
    done: int = 0
    state: State = "queued"
    result: dict[str, Any] | None = None
    error: dict[str, str] | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended_at: datetime | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    place: Future[Any] | None = None

    def progress(self, done: int, total: int) -> None:
        """Take note of progress; ends the work where the job was cancelled.

        Raises:
            Stopped: it was.
        """
        self.done, self.total = done, total
        if self.stop.is_set():
            raise Stopped

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        fields = ("id", "kind", "state", "done", "total", "created_at", "ended_at", "result", "error")
        return {name: getattr(self, name) for name in fields}


class Jobs:
    """The jobs of a server.

    Args:
        room: jobs that may wait.
    """

    def __init__(self, *, room: int) -> None:
        self._lane: Lane[Job] = Lane("jobs", self._run, workers=1, room=room, of="jobs")
        self._known: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, job: Job) -> Job:
        """Let a job wait for its turn.

        Raises:
            Overloaded, ShuttingDown: it is not taken.
        """
        job.place = self._lane.put(Task(job, job.owner)).outcome
        with self._lock:
            self._known[job.id] = job
            ended = [each.id for each in self._known.values() if each.ended_at is not None]
            for job_id in ended[: max(len(ended) - REMEMBERED, 0)]:
                del self._known[job_id]
        return job

    def get(self, job_id: str, *, owner: str | None = None) -> Job:
        """A job by its id; with `owner` only one of theirs.

        Raises:
            JobNotFound: there is none.
        """
        with self._lock:
            job = self._known.get(job_id)
        if job is None or owner not in (None, job.owner):
            raise JobNotFound(f"there is no job {job_id!r}", hint="a server remembers its latest jobs until it ends")
        return job

    def latest(self, *, owner: str | None = None) -> list[Job]:
        """Jobs, newest first; with `owner` theirs only."""
        with self._lock:
            return [job for job in reversed(self._known.values()) if owner in (None, job.owner)]

    def cancel(self, job: Job) -> Job:
        """End a job: at once where it waits, at the next step of its progress where it runs."""
        job.stop.set()
        with self._lock:
            if job.state == "queued":
                self._end(job, "cancelled")
                if job.place is not None:
                    job.place.cancel()
        return job

    def close(self) -> None:
        """Cancel what waits, ask what runs to stop, and end."""
        for job in self.latest():
            if job.ended_at is None:
                self.cancel(job)
        self._lane.close()

    def _run(self, tasks: list[Task[Job]]) -> None:
        for task in tasks:
            self._run_one(task.work)
            task.end(None)

    def _run_one(self, job: Job) -> None:
        with self._lock:
            if job.state != "queued" or job.work is None:
                return
            job.state, work = "running", job.work
        try:
            job.result = work(job)
        except Stopped:
            self._end(job, "cancelled")
        except LikenessError as error:
            job.error = public_dict(error)
            self._end(job, "failed")
        except Exception as error:
            log.error("unexpected", exc_info=error, extra={"job": job.id})
            job.error = {"code": "unexpected", "message": "something unexpected happened; the log says where"}
            self._end(job, "failed")
        else:
            cut_short = job.stop.is_set() and job.done < (job.total or 0)
            self._end(job, "cancelled" if cut_short else "done")

    @staticmethod
    def _end(job: Job, state: State) -> None:
        job.state, job.ended_at, job.work = state, datetime.now(UTC), None  # photos are let go of
