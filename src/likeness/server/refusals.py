"""Refused accesses in the audit trail: how many and why, and which known keys, but nothing about who asked.

Anybody may send wrong keys as fast as the line allows. So they are counted, and a line is written no oftener than once
a minute, by a thread of its own: no answer waits for the disk, and nobody fills it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

from likeness.errors import LikenessError

EVERY_S = 60.0

Why = Literal["missing", "unknown", "expired", "revoked", "scope"]
"""No key; one that is not known, is over, was revoked; one that does not allow what was asked."""


class Refusals:
    """Counts refusals, and has them written.

    Args:
        write: told the counts by reason, and `keys`: ids of the known keys among them. Called by one thread at a time.
    """

    def __init__(self, write: Callable[[dict[str, object]], None], *, every_s: float = EVERY_S) -> None:
        self._write, self._every_s = write, every_s
        self._lock, self._writing = threading.Lock(), threading.Lock()
        self._counts: Counter[str] = Counter()
        self._keys: set[str] = set()
        self._timer: threading.Timer | None = None
        self._written = -every_s

    def note(self, why: Why, key_id: str | None = None) -> None:
        """Count one; the first is written at once, those that follow within a minute together."""
        with self._lock:
            self._counts[why] += 1
            if key_id is not None:
                self._keys.add(key_id)
            if self._timer is None:
                wait = max(self._written + self._every_s - time.monotonic(), 0.0)
                self._timer = threading.Timer(wait, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Write what was counted; what cannot be written now is kept for the next time."""
        with self._writing:
            with self._lock:
                counts, keys = self._counts, self._keys
                self._counts, self._keys, self._timer = Counter(), set(), None
                self._written = time.monotonic()
            if not counts:
                return
            try:
                self._write({**counts, **({"keys": sorted(keys)} if keys else {})})
            except LikenessError:
                with self._lock:
                    self._counts.update(counts)
                    self._keys |= keys

    def close(self) -> None:
        """Write the rest, before the gallery is closed."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
        self.flush()
