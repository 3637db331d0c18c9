"""The gallery's SQLite file as a process holds it: two connections, and the locks that keep threads apart.

Writes go through one connection, reads through the other, so that a search never waits for another thread's disk. Both
are guarded by locks of this process; SQLite's own locks keep processes apart.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from likeness.errors import GalleryBusy, StorageError
from likeness.gallery.embedded.schema import get_meta
from likeness.gallery.embedded.sealed import Cells, Connection, read_sealing
from likeness.gallery.keys import OwnerKey
from likeness.sqlite import BUSY_TIMEOUT_S, connect, mapped_errors, transaction, truncate_log

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX system: SQLite's own locks are all there is
    fcntl = None  # type: ignore[assignment]


class Store:
    """An open file: `write()` and `read()` give transactions, `maintenance()` a lock for slow work."""

    def __init__(
        self, path: Path, *, readonly: bool, busy_timeout_s: float = BUSY_TIMEOUT_S, key: OwnerKey | None = None
    ) -> None:
        self.path = path
        self.key = key
        """The owner's key, by which a sealed file opens."""
        self._sealed: tuple[object, Cells | None] = (None, None)
        self.readonly = readonly
        self.busy_timeout_s = busy_timeout_s
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._closed = False
        with mapped_errors(path):
            self._writer = connect(path, readonly=readonly, busy_timeout_s=busy_timeout_s, kind=Connection)
            try:
                self._reader = connect(path, readonly=readonly, busy_timeout_s=busy_timeout_s, kind=Connection)
            except BaseException:
                self._writer.close()
                raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A write transaction, durable when the block ends. Not to be nested."""
        with self._write_lock, mapped_errors(self.path):
            self._refuse_closed()
            if self.readonly:
                raise self._readonly_error()
            with transaction(self._writer) as connection:
                self.follow(connection)
                yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything in the block sees one state of the gallery. Not to be nested."""
        with self._read_lock, mapped_errors(self.path):
            self._refuse_closed()
            with transaction(self._reader, "DEFERRED") as connection:
                self.follow(connection)
                yield connection

    def follow(self, connection: sqlite3.Connection) -> None:
        """Let a transaction's connection know how secrets are sealed at present.

        Raises:
            GalleryKeyMissing, GalleryKeyWrong: they are, and the store has not the key.
        """
        assert isinstance(connection, Connection)
        stored, (known, cells) = get_meta(connection, "sealing"), self._sealed
        if stored != known:
            cells = None if stored is None else Cells(read_sealing(connection), self.key, of=str(self.path))
            self._sealed = stored, cells  # at once: readers and the writer hold different locks
        connection.cells = cells

    @contextmanager
    def outside_transactions(self) -> Iterator[sqlite3.Connection]:
        """The writing connection, for what SQLite runs outside transactions (VACUUM, checkpoints)."""
        with self._write_lock, mapped_errors(self.path):
            self._refuse_closed()
            yield self._writer

    def data_version(self) -> int:
        """A number that changes when any other connection, of this process or another, has committed."""
        with self._read_lock, mapped_errors(self.path):
            self._refuse_closed()
            return int(self._reader.execute("PRAGMA data_version").fetchone()[0])

    def truncate_log(self, limit_s: float | None = None) -> None:
        """See `truncate_log` of this module."""
        with self.outside_transactions() as connection:
            truncate_log(connection, self.path, self.busy_timeout_s if limit_s is None else limit_s)

    @contextmanager
    def patience(self, limit_s: float) -> Iterator[None]:
        """Wait for other processes no longer than this meanwhile. Not for a store that several threads use already."""
        usual = self.busy_timeout_s
        try:
            self._wait_at_most(limit_s)
            yield
        finally:
            self._wait_at_most(usual)

    def _wait_at_most(self, limit_s: float) -> None:
        self.busy_timeout_s = limit_s
        for connection in (self._writer, self._reader):
            connection.execute(f"PRAGMA busy_timeout={round(limit_s * 1000)}")

    @contextmanager
    def maintenance(self, *, wait: bool = True) -> Iterator[bool]:
        """A lock across processes: snapshots, erasures and index files are made by one at a time.

        Yields whether the lock was got; with `wait` it always was. It ends with the process that holds it.

        Raises:
            GalleryBusy: another process kept it for longer than the time limit.
        """

        def private(name: str, flags: int) -> int:
            return os.open(name, flags, 0o600)

        if self.readonly:
            raise self._readonly_error()
        with mapped_errors(self.path), open(f"{self.path}.lock", "ab", opener=private) as file:
            got = self._lock(file, self.busy_timeout_s if wait else 0.0)
            if wait and not got:
                raise GalleryBusy(
                    f"another process is making a snapshot of {self.path} or erasing from it",
                    hint="try again when it has finished",
                )
            yield got

    @staticmethod
    def _lock(file: IO[bytes], limit_s: float) -> bool:
        if fcntl is None:  # pragma: no cover
            return True
        deadline = time.monotonic() + limit_s
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.02)
            else:
                return True

    def _readonly_error(self) -> StorageError:
        return StorageError(
            f"{self.path} may only be read, not changed", hint="check the file's and folder's permissions"
        )

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError(f"the gallery {self.path} has been closed", hint="open it again")

    def close(self) -> None:
        """Close both connections; calling it again does nothing."""
        with self._write_lock, self._read_lock:
            if not self._closed:
                self._closed = True
                self._reader.close()
                self._writer.close()
