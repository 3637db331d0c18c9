"""One writer at a time, without a server's locks: a document names who writes, and is only replaced as it was seen.

A writer of whom nothing is heard for the time of a lease is taken for dead, and the next one takes over. Time decides
only when somebody may try: a writer that was merely slow finds the document changed, and ends in an error with nothing
done. So neither clocks nor pauses can bring two writers together.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from likeness.errors import GalleryBusy, LikenessError
from likeness.gallery.elastic.cluster import Pause
from likeness.gallery.elastic.store import Kept, Overtaken, Store
from likeness.gallery.stated import now


class Lease:
    """The right to change a document of the index `meta`, and what it guards."""

    def __init__(self, store: Store, id_: str) -> None:
        self._store = store
        self._id = id_
        self._mine = threading.RLock()  # threads of one process queue up here, not at the server

    @contextmanager
    def hold(self) -> Iterator[Held]:
        """Wait for the document to be free, or its writer to be dead; free it at the end unless it was left.

        Raises:
            GalleryBusy: others held it for longer than the time limit.
        """
        limit_s = self._store.address.options.patience
        if not self._mine.acquire(timeout=limit_s):
            raise self._busy()
        try:
            held = self._acquire(limit_s)
            try:
                with self._store.cluster.within(self._store.address.options.lease / 3):
                    yield held
            finally:
                held.free()
        finally:
            self._mine.release()

    def _acquire(self, limit_s: float) -> Held:
        lease_s = self._store.address.options.lease
        pause, token = Pause(limit_s, longest_s=0.25), secrets.token_hex(8)
        watched, since = None, time.monotonic()
        while True:
            kept = self._store.get(self._store.meta, self._id)
            if kept is None:
                raise self._store.missing()
            if kept.seen != watched:
                watched, since = kept.seen, time.monotonic()
            writer = kept.body.get("writer")
            dead = writer is not None and (writer.get("left") or time.monotonic() - since >= lease_s)
            if writer is None or dead:
                try:
                    mine = self._store.put(self._store.meta, self._id, _claimed(kept.body, token), seen=kept.seen)
                except Overtaken:
                    continue
                return Held(self._store, mine, token, after_dead=bool(dead))
            if not pause.left():
                raise self._busy()
            pause.wait()

    def _busy(self) -> GalleryBusy:
        limit = self._store.address.options.patience
        return GalleryBusy(
            f"another process held the gallery {self._store.address.shown} for more than {limit:g} s",
            hint="try again later, or wait longer: patience=120",
        )

    def is_abandoned(self) -> bool:
        """Whether its writer seems dead at a glance, judged by the clocks: nothing depends on it but when one looks."""
        kept = self._store.get(self._store.meta, self._id)
        writer = kept.body.get("writer") if kept else None
        if writer is None:
            return False
        age_s = (datetime.now(UTC) - datetime.fromisoformat(writer["at"])).total_seconds()
        return bool(writer.get("left")) or age_s > self._store.address.options.lease


class Held:
    """A document that is held. `after_dead` tells that its last writer did not free it."""

    def __init__(self, store: Store, kept: Kept, token: str, *, after_dead: bool) -> None:
        self._store = store
        self._token = token
        self._renewed = time.monotonic()
        self._lost = False
        self.kept = kept
        self.after_dead = after_dead
        self.left = False

    @property
    def body(self) -> dict[str, Any]:
        """The document as it was last written here."""
        return self.kept.body

    def write(self, **changes: Any) -> None:
        """Replace fields of the document, and stay its writer unless `writer` says otherwise.

        Raises:
            GalleryBusy: another writer took over; the document is as that one left it.
        """
        body = {**self.body, "writer": {"token": self._token, "at": now()}, **changes}
        try:
            self.kept = self._store.put(self._store.meta, self.kept.id, body, seen=self.kept.seen)
        except Overtaken as error:
            self._lost = True
            raise GalleryBusy(
                f"another process took over the gallery {self._store.address.shown}: nothing was heard from here for "
                f"{self._store.address.options.lease:g} s",
                hint="try again; where the cluster is that slow, lengthen the lease: lease=120",
            ) from error
        self._renewed = time.monotonic()

    def renew(self) -> None:
        """Let others know that this writer lives, where a third of the lease has passed since they last heard.

        Raises:
            GalleryBusy: another writer took over.
        """
        if time.monotonic() - self._renewed > self._store.address.options.lease / 3:
            self.write()

    @property
    def lost(self) -> bool:
        """Whether another writer took over."""
        return self._lost

    def stay(self) -> None:
        """Take `leave` back: nothing is left to be finished."""
        self.left = False

    def leave(self) -> None:
        """End without freeing it: the next writer has to finish what this one began, and need not wait for it."""
        self.left = True

    def free(self) -> None:
        """Let others write; after `leave`, let them take over at once."""
        if self._lost or self.body.get("writer") is None:
            return
        with suppress(LikenessError):  # what was done is done; where nobody answers, the lease ends by itself
            self.write(writer={"token": self._token, "at": now(), "left": True} if self.left else None)


def _claimed(body: dict[str, Any], token: str) -> dict[str, Any]:
    return {**body, "writer": {"token": token, "at": now()}}
