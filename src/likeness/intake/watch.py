"""New objects of a folder or bucket, sent to the queue `detect` as messages, each once.

A place is listed again and again; what was sent is remembered in a file, so that a restart neither misses nor repeats
anything. The one exception is a watch killed between sending and remembering: its last batch is sent once more, and has
one result all the same, because the pipeline knows photos by their content.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePosixPath
from typing import Any, Literal

from likeness.data.photofiles import is_photo
from likeness.errors import LikenessError, NotFound, RemoteError, SettingsError, StorageError
from likeness.intake.queues import Queue, backoff_s
from likeness.intake.seen import Seen, state_of
from likeness.service.photos import name_from_folder
from likeness.storage import Storage, StoredObject

BATCH = 100
QUIET_S = 2.0
"""A file that did not change for so long is taken to be whole."""
OLD_S = 60.0
"""One that was last changed so long ago is not looked at twice."""
LONGEST_PAUSE_S = 60.0
TIDY_S = 86400.0
"""How often a watch lets go of what was not seen for long: it may run for years."""

Names = Literal["none", "folder"]


@dataclass(slots=True)
class Pass:
    """What one look at a place found.

    Attributes:
        sent: the messages' bodies.
        waiting: files that may still be being written.
        passed_over: objects that are no photos by their names.
        known: objects sent before.
        error: why the look was broken off; what it had sent is sent.
    """

    sent: list[dict[str, Any]] = field(default_factory=list)
    waiting: int = 0
    passed_over: int = 0
    known: int = 0
    error: LikenessError | None = None


class Watch:
    """A place that is watched: a storage, the queue that is told, and what was sent before."""

    def __init__(
        self, storage: Storage, queue: Queue, seen: Seen, *, names: Names = "none", quiet_s: float = QUIET_S
    ) -> None:
        self._storage, self._queue, self._seen = storage, queue, seen
        self._names, self._quiet_s = names, quiet_s
        self._growing: dict[str, tuple[str, float]] = {}

    def look(self, stop: Callable[[], bool] = lambda: False) -> Pass:
        """List the place once and send what is new; ends early, with its batch sent, once `stop` says so.

        Raises:
            StorageMissing, StorageError: the place cannot be listed.
            QueueUnavailable: the queue does not take messages; they are sent by a later look.
        """
        done = Pass()
        self._look(done, stop)
        return done

    def run(
        self, pause: Callable[[float], bool], *, every_s: float, once: bool = False, stop: Callable[[], bool]
    ) -> Iterator[Pass]:
        """Look again and again, each time when `pause(seconds)` is over, until it or `stop` says that this is the end.

        With `once` it ends as soon as nothing is waiting to be whole. A place or queue that fails later than at the
        first look is told in `Pass.error`, and asked again after a while.

        Raises:
            LikenessError: the first look failed; with `once` any.
        """
        failed = looks = 0
        tidied_s = -math.inf
        while not stop():
            done = Pass()
            try:
                self._look(done, stop)
                failed = 0
                # After a whole look: what is there counts as seen, however long nobody watched.
                if not stop() and time.monotonic() - tidied_s >= TIDY_S:
                    self._seen.forget_gone()
                    tidied_s = time.monotonic()
            except (StorageError, NotFound, RemoteError) as error:
                if once or not looks:
                    raise
                failed += 1
                done.error = error
            looks += 1
            yield done
            if once and not done.waiting:
                return
            wait_s = min(self._quiet_s, every_s) if done.waiting else every_s
            if pause(max(wait_s, backoff_s(failed, longest_s=LONGEST_PAUSE_S)) if failed else wait_s):
                return

    def _look(self, done: Pass, stop: Callable[[], bool]) -> None:
        growing: dict[str, tuple[str, float]] = {}
        listed = self._storage.list()
        while not stop() and (batch := list(islice(listed, BATCH))):
            photos = [each for each in batch if is_taken(each.key)]
            new = self._seen.unsent(photos)
            whole = [each for each in new if self._is_whole(each, growing)]
            bodies = [self._body(each) for each in whole]
            if bodies:
                self._queue.send(bodies)
                self._seen.remember(whole)
            done.sent += bodies
            done.waiting += len(new) - len(whole)
            done.passed_over += len(batch) - len(photos)
            done.known += len(photos) - len(new)
        self._growing = growing

    def _is_whole(self, told: StoredObject, growing: dict[str, tuple[str, float]]) -> bool:
        """Whether nobody writes an object any more: that is seen by its standing still from one look to another."""
        if self._storage.whole_at_once or time.time() - told.changed_at.timestamp() > max(OLD_S, self._quiet_s):
            return True
        state, now = state_of(told), time.monotonic()
        before, since = self._growing.get(told.key, ("", now))
        if before == state and now - since >= self._quiet_s:
            return True
        growing[told.key] = (state, since if before == state else now)
        return False

    def _body(self, told: StoredObject) -> dict[str, Any]:
        body: dict[str, Any] = {"uri": self._storage.uri_of(told.key)}
        folder, slash, _ = told.key.partition("/")
        name = name_from_folder(folder) if self._names == "folder" and slash else None
        return body if name is None else body | {"name": name}


def is_taken(key: str) -> bool:
    """Whether an object is a photo by its name: an ending of photos, or none at all; nothing hidden, no part hidden."""
    parts = key.split("/")
    if any(part.startswith(".") for part in parts):
        return False
    return is_photo(parts[-1]) or not PurePosixPath(parts[-1]).suffix


def expect_apart(watched: str, media: Iterable[str]) -> None:
    """Let a place pass that neither holds nor lies in one of those where we put pictures ourselves.

    Raises:
        SettingsError: what is enrolled would arrive again as a new photo, without end.
    """
    place = _folder(watched)
    for own in map(_folder, media):
        if place.startswith(own) or own.startswith(place):
            raise SettingsError(
                "the place to watch and one where pictures are put (settings `storage`, `spool`) lie in each other",
                hint="watch another folder or prefix",
            )


def _folder(uri: str) -> str:
    return uri.partition("?")[0].rstrip("/") + "/"
