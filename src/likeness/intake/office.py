"""Where photos for the workers are handed in and asked about: queue, records and spool, opened together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from likeness.errors import InputError, LikenessError, Overloaded
from likeness.intake import STEPS
from likeness.intake.answers import arrival_dict, photo_dict
from likeness.intake.metrics import QueueDepths
from likeness.intake.queues import DeadLetter, Depth
from likeness.intake.records import ArrivalJob, open_records
from likeness.intake.sending import send_photos
from likeness.intake.steps.base import to_tell
from likeness.intake.webhooks import expect_allowed
from likeness.settings import Settings
from likeness.storage import open_storage

_RETRY_AFTER_S = 30.0


class Office:
    """For those who send photos to workers. Thread-safe.

    Raises:
        SettingsError, ExtraMissing, RecordsUnavailable, QueueUnavailable: the settings' queue, records or spool cannot
            be used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.records = open_records(settings.records)
        self._spool = open_storage(settings.spool)
        self.queues = QueueDepths(settings)
        self.queues.queue("detect")

    def send(
        self, photos: Sequence[bytes], *, owner: str, callback: str | None = None, again: bool = False
    ) -> ArrivalJob:
        """A job of these photos; durable when it returns.

        Raises:
            Overloaded: too many wait already.
            CallbackRefused, SettingsError: the address to call back is not allowed, or nothing signs what is told.
            RecordsUnavailable, QueueUnavailable, StorageError, RemoteError: it could not be taken.
        """
        if callback is not None:
            expect_allowed(callback, self._settings)
        queue = self.queues.queue("detect")
        depth, most = queue.depth(), self._settings.arrivals_waiting
        if depth.ready + depth.waiting + depth.leased + len(photos) > most:
            busy = Overloaded(
                f"with these photos more than {most} would wait for workers (arrivals_waiting)",
                hint="send them again when some are answered",
            )
            busy.retry_after_s = _RETRY_AFTER_S
            raise busy
        return send_photos(
            photos, owner=owner, records=self.records, spool=self._spool, queue=queue, callback=callback, again=again
        )

    def cancel(self, job_id: str, *, owner: str | None) -> ArrivalJob:
        """Answer no more photos of a job; whoever is to be told is told that it ended.

        Raises:
            JobNotFound: there is no such job, or not of that owner.
            RecordsUnavailable, QueueUnavailable: it is cancelled, or not; asking again does no harm.
        """
        job = self.records.job(job_id, owner=owner)
        tellings = self.records.cancel(job.id)
        if tellings:
            self.queues.queue("tell").send([dict(body) for _, body in to_tell(tellings)])
        return self.records.job(job.id)

    def photos(self, job_id: str, *, owner: str | None, after: int, most: int) -> list[dict[str, Any]]:
        """The photos of a job with their answers, in order.

        Raises:
            JobNotFound: there is no such job, or not of that owner.
        """
        self.records.job(job_id, owner=owner)
        return photo_dict(self.records, self.records.of_job(job_id, after=after, most=most))

    def ended(self, *, after: str | None, most: int) -> list[dict[str, Any]]:
        """Photos of no job that ended, behind the one with the id `after`; without it the latest.

        Raises:
            InputError: nothing is known of a photo `after` that has ended.
        """
        if after is None:
            return arrival_dict(self.records, self.records.ended(most=most))
        last = self.records.arrivals([after]).get(after)
        if last is None or last.ended_at is None:
            raise InputError(f"no photo {after!r} has ended", hint="begin without `after`")
        return arrival_dict(self.records, self.records.ended(after=(last.ended_at, last.id), most=most))

    def depths(self) -> dict[str, Depth | LikenessError]:
        """How much waits at each step, or why that is not known."""
        return dict(self.queues.depths())

    def dead(self, steps: Iterable[str] = STEPS, most: int = 20) -> list[tuple[str, DeadLetter]]:
        """The newest dead letters of some steps, with the step.

        Raises:
            QueueUnavailable: a queue does not answer.
        """
        letters = [(name, letter) for name in steps for letter in self.queues.queue(name).dead(most)]
        return sorted(letters, key=lambda each: each[1].died_at, reverse=True)[:most]

    def close(self) -> None:
        """Let go of everything."""
        self.queues.close()
        self._spool.close()
        self.records.close()
