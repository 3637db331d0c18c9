"""Disks that are full or may only be read, and everything that is kept in files, behind one face."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from likeness.gallery.base import NewFace
from likeness.gallery.embedded import open_embedded
from likeness.intake.queues import open_queue
from likeness.intake.seen import Seen
from likeness.server.keys import KeyStore
from likeness.server.replies import Replies
from likeness.storage import open_storage
from likeness.storage.base import StoredObject


@dataclass(frozen=True)
class Disk:
    """A file system of its own, of 3 MB."""

    folder: Path

    def fill(self) -> None:
        """Leave no space."""
        with (self.folder / "filler").open("wb", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)) == size:
                        pass

    def free(self) -> None:
        """Give back what `fill` took."""
        (self.folder / "filler").unlink()

    def only_read(self) -> None:
        """Let nothing be written any more."""
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)

    def may_be_written(self) -> None:
        """Take that back."""
        subprocess.run(["mount", "-o", "remount,rw", self.folder], check=True)


@dataclass(frozen=True)
class Kept:
    """Something that keeps data in files: how it is opened, how a numbered thing is put into it, and how it is asked.

    Attributes:
        file: the file that it is in; None of a folder.
    """

    name: str
    open: Callable[[Path], AbstractContextManager[Any]]
    put: Callable[[Any, int], object]
    count: Callable[[Any], int]
    file: str | None


def face(number: int) -> NewFace:
    """A face that nobody has."""
    vector = np.random.default_rng(number).normal(size=16).astype(np.float32)
    return NewFace(f"P{number}", vector / np.linalg.norm(vector), b"<crop>" * 500, f"{number:064x}")


@contextmanager
def _records(folder: Path) -> Iterator[Any]:
    from likeness.intake.records import open_records

    with open_records(str(folder / "arrivals.db")) as opened:
        yield opened


def _stored(number: int) -> StoredObject:
    return StoredObject(f"{number}.jpg", 3, datetime(2026, 1, 1, tzinfo=UTC), "e")


def _send(queue: Any, number: int) -> None:
    queue.send([{"uri": f"file:///{number}.jpg", "pad": "x" * 4000}])


def _job(records: Any, number: int) -> None:
    records.add_job("tests", 20)


KEPT = (
    Kept(
        "gallery",
        lambda folder: open_embedded(folder / "people.gallery", space="s", dimension=16, create=True),
        lambda gallery, number: gallery.add([face(number)]),
        lambda gallery: gallery.info().faces,
        "people.gallery",
    ),
    Kept(
        "queue",
        lambda folder: closing(open_queue(str(folder / "queue.db"), "detect")),
        _send,
        lambda queue: queue.depth().ready,
        "queue.db",
    ),
    Kept("records", _records, _job, lambda records: len(records.jobs(most=100_000)), "arrivals.db"),
    Kept(
        "keys",
        lambda folder: closing(KeyStore(folder / "api.keys")),
        lambda keys, number: keys.create(f"key {number:090d}", "read"),
        lambda keys: len(keys.list()),
        "api.keys",
    ),
    Kept(
        "answers",
        lambda folder: closing(Replies(folder / "answers.db")),
        lambda replies, number: replies.keep(b"%d" % number, b"r", {"pad": "x" * 4000}),
        lambda replies: sum(replies.find(b"%d" % number, b"r") is not None for number in range(2000)),
        "answers.db",
    ),
    Kept(
        "watched",
        lambda folder: closing(Seen(folder / "watched.db", "there")),
        lambda seen, number: seen.remember([_stored(1000 * number + each) for each in range(100)]),
        lambda seen: seen.count() // 100,
        "watched.db",
    ),
    Kept(
        "storage",
        lambda folder: open_storage(str(folder / "photos")),
        lambda storage, number: storage.write(f"{number}.jpg", b"x" * 5000),
        lambda storage: len(list(storage.list())),
        None,
    ),
)
