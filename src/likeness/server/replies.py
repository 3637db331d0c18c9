"""Idempotency keys: the same request sent twice is done once, and answered alike, also after a restart.

A client that does not know whether its enrolment arrived sends it again under the same key. What is kept, for a day, is
a digest of the request and what became of each photo: no names, photos or file names; those the client sends again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from likeness.errors import RequestDiffers, RequestInvalid
from likeness.private import make_private
from likeness.sqlite import connect, mapped_errors, transaction

R = TypeVar("R")

KEPT_S = 24 * 3600.0
LONGEST_KEY = 255
_TABLE = """
CREATE TABLE IF NOT EXISTS replies (
  key BLOB PRIMARY KEY, request BLOB NOT NULL, reply TEXT NOT NULL, at REAL NOT NULL) WITHOUT ROWID
"""


def digest_of(parts: Iterable[bytes | str | None]) -> bytes:
    """A digest of a request's parts, each told apart from its neighbours."""
    whole = hashlib.sha256()
    for part in parts:
        data = b"" if part is None else part.encode() if isinstance(part, str) else part
        whole.update(b"%d:" % (-1 if part is None else len(data)))
        whole.update(data)
    return whole.digest()


@dataclass(slots=True)
class _Turn:
    """Who comes next under a key, and how many there are, those who wait among them."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class Replies:
    """What was answered under idempotency keys; one SQLite file, its owner's alone. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser().absolute()
        self._lock = threading.Lock()
        self._turns: dict[bytes, _Turn] = {}
        self._begun: set[asyncio.Task[Any]] = set()
        with mapped_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self._path)
            self._connection: sqlite3.Connection = connect(self._path)
            self._connection.execute(_TABLE)

    @asynccontextmanager
    async def once(self, actor: str, key: str) -> AsyncIterator[bytes]:
        """Let requests of one actor with one key pass one after another; gives what to `find` and `keep` under.

        Raises:
            RequestInvalid: the key cannot be used.
        """
        if not key or len(key) > LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise RequestInvalid(f"expected an Idempotency-Key of 1 to {LONGEST_KEY} visible ASCII letters")
        place = digest_of([actor, key])
        turn = self._turns.setdefault(place, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield place
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[place]

    async def to_its_end(self, work: Coroutine[Any, Any, R]) -> R:
        """What work gives, which goes on where nobody waits for it any more, so that its answer is kept."""
        task = asyncio.ensure_future(work)
        self._begun.add(task)
        task.add_done_callback(self._begun.discard)
        return await asyncio.shield(task)

    async def settled(self) -> None:
        """Wait until all work that was begun has ended, one way or another."""
        while self._begun:
            await asyncio.wait(self._begun)

    def find(self, place: bytes, request: bytes) -> Any:
        """What was answered to this request under this key; None where it is new.

        Raises:
            RequestDiffers: the key was used for another request.
        """
        with self._lock, mapped_errors(self._path):
            row = self._connection.execute(
                "SELECT request, reply FROM replies WHERE key = ? AND at > ?", (place, time.time() - KEPT_S)
            ).fetchone()
        if row is None:
            return None
        if bytes(row[0]) != request:
            raise RequestDiffers(
                "this Idempotency-Key was used for another request", hint="use a new key for each new request"
            )
        return json.loads(row[1])

    def keep(self, place: bytes, request: bytes, reply: Any) -> None:
        """Remember an answer, durable on return, and let go of old ones."""
        now = time.time()
        with self._lock, mapped_errors(self._path), transaction(self._connection) as connection:
            connection.execute("DELETE FROM replies WHERE at <= ?", (now - KEPT_S,))
            connection.execute(
                "INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", (place, request, json.dumps(reply), now)
            )

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()
