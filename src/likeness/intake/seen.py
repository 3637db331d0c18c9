"""What a watch has sent already, remembered across restarts: hashes only, no names of files."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from likeness.errors import Conflict, SettingsError
from likeness.sqlite import connect, mapped_errors, transaction
from likeness.storage import StoredObject

KEPT_DAYS = 90
"""How long an object that is seen no more is remembered: a disk may be away for a while, and come back."""
_APPLICATION_ID = 0x4C6B5765  # "LkWe"
_DAY_S = 86400
_TABLE = """CREATE TABLE sent (place BLOB NOT NULL, key BLOB NOT NULL, state BLOB NOT NULL, day INTEGER NOT NULL,
  PRIMARY KEY (place, key)) WITHOUT ROWID"""


class Seen:
    """The objects of one watched place that were sent, each with the state that it was in. One process at a time.

    Raises (on opening):
        Conflict: another process watches the same place.
        SettingsError: the file is something else.
        StorageError: it cannot be used.
    """

    def __init__(self, path: Path, place: str) -> None:
        self._path, self._place = path, _hash(place)
        with ExitStack() as stack, mapped_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context(open(f"{path}.{self._place.hex()[:16]}.lock", "ab", opener=_private))
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Conflict(
                    "another process watches this place already", hint="one is enough; end it to watch from here"
                ) from None
            os.close(_private(str(path), os.O_RDWR | os.O_CREAT))
            self._connection = connect(path)
            stack.callback(self._connection.close)
            self._prepare()
            self._open = stack.pop_all()

    def _prepare(self) -> None:
        with transaction(self._connection):
            ours = self._connection.execute("PRAGMA application_id").fetchone()[0] == _APPLICATION_ID
            if not ours and self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise SettingsError(f"{self._path} is a file of something else", hint="name another one as `watched`")
            if not ours:
                self._connection.execute(_TABLE)
                self._connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")

    def unsent(self, objects: Iterable[StoredObject]) -> list[StoredObject]:
        """Those of the objects that were not sent in the state that they are in; the others are known to be there."""
        found, still, today = [], [], _today()
        with mapped_errors(self._path), transaction(self._connection, "DEFERRED"):
            for each in objects:
                key = _hash(each.key)
                row = self._connection.execute(
                    "SELECT state, day FROM sent WHERE place = ? AND key = ?", (self._place, key)
                ).fetchone()
                if row is None or row[0] != _state(each):
                    found.append(each)
                elif row[1] < today:
                    still.append((today, self._place, key))
            self._connection.executemany("UPDATE sent SET day = ? WHERE place = ? AND key = ?", still)
        return found

    def remember(self, objects: Iterable[StoredObject]) -> None:
        """Note that objects were sent; durable on return."""
        rows = [(self._place, _hash(each.key), _state(each), _today()) for each in objects]
        with mapped_errors(self._path), transaction(self._connection):
            self._connection.executemany("INSERT OR REPLACE INTO sent VALUES (?, ?, ?, ?)", rows)

    def forget_gone(self) -> int:
        """Forget objects that were not seen for `KEPT_DAYS`; how many there were."""
        with mapped_errors(self._path), transaction(self._connection):
            return self._connection.execute(
                "DELETE FROM sent WHERE place = ? AND day < ?", (self._place, _today() - KEPT_DAYS)
            ).rowcount

    def count(self) -> int:
        """How many objects are remembered."""
        with mapped_errors(self._path):
            row = self._connection.execute("SELECT count(*) FROM sent WHERE place = ?", (self._place,)).fetchone()
            return int(row[0])

    def close(self) -> None:
        """Let go of the file; another process may watch the place then."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def state_of(told: StoredObject) -> str:
    """Another text after any change of an object's bytes, and after its being put there anew."""
    return f"{told.size_bytes}:{told.changed_at.timestamp()}:{told.etag}"


def _state(told: StoredObject) -> bytes:
    return _hash(state_of(told))[:8]


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()


def _private(name: str, flags: int) -> int:
    return os.open(name, flags | os.O_CLOEXEC, 0o600)


def _today() -> int:
    return int(time.time() // _DAY_S)
