"""Photos that somebody sends for the workers: written down, stored in the spool, and put into the first queue."""

from __future__ import annotations

from collections.abc import Sequence

from likeness.intake.queues import Queue
from likeness.intake.records import ArrivalJob, Records
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

    Should it end half-way, nobody was given the job's id; what was put into the queue by then is answered all the same.

    Raises:
        RecordsUnavailable, QueueUnavailable, StorageError, RemoteError: it could not be taken.
    """
    job, arrivals = records.add_job(owner, len(photos), callback=callback, again=again)
    for arrival, data in zip(arrivals, photos, strict=True):
        spool.write(upload_key(arrival.id), data)
    queue.send([{"arrival": arrival.id} for arrival in arrivals])
    return job
