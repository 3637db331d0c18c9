"""Photos that somebody sends for the workers: written down, stored in the spool, and put into the first queue."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from likeness.errors import LikenessError, StorageMissing
from likeness.intake.queues import Queue
from likeness.intake.records import Arrival, ArrivalJob, Records
from likeness.intake.steps.base import upload_key
from likeness.storage import Storage


def send_photos(
    photos: Sequence[bytes],
    *,
    owner: str,
    records: Records,
    spool: Storage,
    queue: Queue,
    callback: str | None = None,
    again: bool = False,
) -> ArrivalJob:
    """A job of these photos, for `owner`; when it returns, all of it is durable.

    Should it fail half-way, the job is cancelled and its photos are erased: nobody was given its id.

    Raises:
        RecordsUnavailable, QueueUnavailable, StorageError, RemoteError: it could not be taken.
    """
    job, arrivals = records.add_job(owner, len(photos), callback=callback, again=again)
    try:
        for arrival, data in zip(arrivals, photos, strict=True):
            spool.write(upload_key(arrival.id), data)
        queue.send([{"arrival": arrival.id} for arrival in arrivals])
    except BaseException:
        _take_back(job, arrivals, records, spool)
        raise
    return job


def _take_back(job: ArrivalJob, arrivals: Sequence[Arrival], records: Records, spool: Storage) -> None:
    """As far as those answer that have it: what failed first is told, not what fails because of it."""
    with suppress(LikenessError):
        records.cancel(job.id)
    with suppress(LikenessError):
        for arrival in arrivals:
            with suppress(StorageMissing):
                spool.delete(upload_key(arrival.id))
