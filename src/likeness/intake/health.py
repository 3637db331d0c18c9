"""What the doctor looks at of the workers' places: queue, records, spool, storage, and whom they may call back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from likeness.addresses import masked
from likeness.errors import LikenessError
from likeness.gallery.base import Finding
from likeness.intake import STEPS
from likeness.intake.queues import open_queue
from likeness.intake.webhooks import SHORTEST_KEY, has_key
from likeness.settings import Settings
from likeness.storage import open_storage


def examine(settings: Settings) -> Iterator[Finding]:
    """Each place that is there, and whether it answers; what is not made yet is no fault, and is not made."""
    yield _place("queue", settings.queue, "sending photos makes it", lambda: _waiting(settings))
    yield _place("records", settings.records, "sending photos makes them", lambda: _recorded(settings))
    yield _place("spool", settings.spool, "sending photos makes it", lambda: _listed(settings.spool))
    if settings.storage:
        yield _place("storage", settings.storage, "enrolling makes it", lambda: _listed(settings.storage))
    else:
        yield Finding("storage", True, "none is set: enrolled pictures are kept in the gallery alone")
    yield _callbacks(settings)


def _place(name: str, uri: str, made_by: str, look: Callable[[], str]) -> Finding:
    path = uri.removeprefix("file://").removeprefix("sqlite:///")
    if "://" not in path and not Path(path).expanduser().exists():
        return Finding(name, True, f"none yet at {uri}; {made_by}")
    try:
        return Finding(name, True, f"{masked(uri)}: {look()}")
    except LikenessError as error:
        return Finding(name, False, str(error))


def _waiting(settings: Settings) -> str:
    waiting = dead = 0
    for step in STEPS:
        with open_queue(settings.queue, step) as queue:
            depth = queue.depth()
        waiting += depth.ready + depth.waiting + depth.leased
        dead += depth.dead
    return f"{waiting:,} waiting, {dead:,} dead" + (" (`likeness queue dead` says why)" if dead else "")


def _recorded(settings: Settings) -> str:
    from likeness.intake.records import open_records  # without workers, their extra may be missing

    with open_records(settings.records) as records:
        counts = records.counts()
    return ", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "no photos yet"


def _listed(uri: str) -> str:
    with open_storage(uri) as storage:
        return "answers; empty" if next(storage.list(), None) is None else "answers"


def _callbacks(settings: Settings) -> Finding:
    if not settings.webhook_hosts:
        return Finding("webhooks", True, "nobody is called back (the setting webhook_hosts)")
    if not has_key(settings):
        words = f"webhook_hosts is set without a webhook_secret of {SHORTEST_KEY} letters or more"
        return Finding("webhooks", False, words)
    return Finding("webhooks", True, f"{len(settings.webhook_hosts)} hosts may be called back, signed")
