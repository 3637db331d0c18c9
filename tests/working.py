"""A worker that does all that waits, for tests of those who ask for it."""

from __future__ import annotations

import threading

from likeness.intake import STEPS
from likeness.intake.worker import open_worker
from likeness.service import open_people
from likeness.settings import Settings


def drain(settings: Settings) -> None:
    """Run every step until nothing is left in the queues of these settings."""
    with open_people(settings, actor="worker") as people:
        worker = open_worker(people, settings, STEPS)
        try:
            worker.run(threading.Event(), drain=True)
        finally:
            worker.close()
