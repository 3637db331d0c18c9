"""A pipeline of a test's own: queue, records, spool and a filled gallery, and a worker that runs until all is done."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from likeness.intake import STEPS
from likeness.intake.queues import Queue, open_queue
from likeness.intake.records import Records, open_records
from likeness.intake.sending import send_photos
from likeness.intake.worker import Worker, open_worker
from likeness.settings import Settings
from likeness.storage import Storage, open_storage


@dataclass
class Pipeline:
    """The parts of a pipeline, and those of its workers that were opened."""

    settings: Settings
    recognizer: Any
    records: Records
    spool: Storage
    queues: dict[str, Queue]
    notes: list[tuple[str, str, int]] = field(default_factory=list)

    def send(self, *photos: bytes, **options: Any) -> Any:
        """Photos for the workers; their job."""
        return send_photos(
            photos, owner="tests", records=self.records, spool=self.spool, queue=self.queues["detect"], **options
        )

    def worker(self, steps: Sequence[str] = STEPS) -> Worker:
        """A worker on the gallery of the settings."""
        from likeness.service import open_people

        people = open_people(recognizer=self.recognizer, create=False, actor="worker")
        note = lambda step, outcome, count, seconds: self.notes.append((step, outcome, count))  # noqa: E731
        return open_worker(people, self.settings, steps, note=note)

    def drain(self, steps: Sequence[str] = STEPS) -> None:
        """Let a worker run until nothing is left."""
        working = self.worker(steps)
        try:
            working.run(threading.Event(), drain=True)
        finally:
            working.close()


@pytest.fixture
def make_pipeline(gallery_path, recognizer, tmp_path) -> Iterator[Callable[..., Pipeline]]:
    """Pipelines with settings of their own."""
    opened: list[Pipeline] = []

    def make(**values: Any) -> Pipeline:
        from likeness.recognizer import Recognizer

        own = {
            "gallery": str(gallery_path),
            "queue": str(tmp_path / "queue.db"),
            "records": str(tmp_path / "arrivals.db"),
            "spool": str(tmp_path / "spool"),
        }
        settings = Settings.load(own | values)
        fresh = Recognizer(settings, threads=1)
        # Networks that are loaded already serve as well: they are the same files.
        for name in ("detector", "embedder", "teller", "attribute_network"):
            fresh.__dict__[name] = getattr(recognizer, name)
        queues = {name: open_queue(settings.queue, name) for name in STEPS}
        records, spool = open_records(settings.records), open_storage(settings.spool)
        opened.append(Pipeline(settings, fresh, records, spool, queues))
        return opened[-1]

    yield make
    for pipeline in opened:
        for queue in pipeline.queues.values():
            queue.close()
        pipeline.records.close()
        pipeline.spool.close()


@pytest.fixture
def pipeline(make_pipeline) -> Pipeline:
    """A pipeline on files."""
    return make_pipeline()


@pytest.fixture
def group(samples: Path) -> bytes:
    """A photo with several faces."""
    return (samples / "group.jpg").read_bytes()
