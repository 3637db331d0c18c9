"""The gallery's SQLite file: connections, transactions, locks, and the one mapping of SQLite's errors.

Two connections serve a process. Writes go through one, reads through the other, so that a search never waits
for another thread's disk. Both are guarded by locks of this process; SQLite's own locks keep processes apart.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO
from urllib.parse import quote

from likeness.errors import GalleryBusy, GalleryCorrupt, LikenessError, StorageError, StorageFull

try:
    import fcntl
except ImportError:  # pragma: no cover - not a POSIX system: SQLite's own locks are all there is
    fcntl = None  # type: ignore[assignment]

BUSY_TIMEOUT_S = 30.0
"""How long a call waits for another process before it raises `GalleryBusy`."""

_FULL_BELOW_BYTES = 64 * 1024


def translate(error: sqlite3.Error | OSError, path: Path) -> LikenessError:
    """The Likeness error for one of SQLite's or of the operating system, met while working on `path`."""
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _full(path)
        return StorageError(f"{path}: {error.strerror or error}")
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return GalleryBusy(f"{path} is held by another process", hint="try again when it has finished")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return GalleryCorrupt(f"{path} is damaged: {error}", hint="restore a snapshot of it")
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return _full(path)
    if code == sqlite3.SQLITE_READONLY:
        return StorageError(f"{path} may only be read, not changed", hint="check the file's and folder's permissions")
    if code in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageError(f"{path} cannot be opened", hint="check the file's and folder's permissions")
    return StorageError(f"{path}: {error}")


def _full(path: Path) -> StorageFull:
    return StorageFull(f"no space is left for {path}", hint="free some space; nothing of this call was stored")


def _is_full(path: Path) -> bool:
    try:
        disk = os.statvfs(path.parent)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < _FULL_BELOW_BYTES


@contextmanager
def mapped_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into those of `likeness.errors`."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a fault of this code, not of the disk
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def connect(path: Path, *, readonly: bool = False, busy_timeout_s: float = BUSY_TIMEOUT_S) -> sqlite3.Connection:
    """A connection with the settings that the gallery's promises rest on; transactions are begun by hand."""
    mode = ("immutable=1" if _stands_still(path) else "mode=ro") if readonly else "mode=rwc"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    try:
        connection.execute("PRAGMA foreign_keys=ON")
        if not readonly:
            connection.execute("PRAGMA synchronous=FULL")  # acknowledged means durable
            connection.execute("PRAGMA secure_delete=ON")  # freed pages are zeroed
            connection.execute("PRAGMA temp_store=MEMORY")  # no copies of faces in temporary files
    except BaseException:
        connection.close()
        raise
    return connection


def _on_readonly_disk(path: Path) -> bool:
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _stands_still(path: Path) -> bool:
    """Whether a file that may only be read can be read without its log, for which there is no place.

    A file system mounted read-only has no writers. Where only the folder may not be written, there is nobody
    writing at present if there is no log.
    """
    if _on_readonly_disk(path):
        return True
    return not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists()


def is_readonly(path: Path) -> bool:
    """Whether an existing file may be read but not changed: changing it takes its folder too, for the log."""
    if not path.exists():
        return False
    return _on_readonly_disk(path) or not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))


@contextmanager
def transaction(connection: sqlite3.Connection, mode: str = "IMMEDIATE") -> Iterator[sqlite3.Connection]:
    """One transaction: committed at the end, rolled back when anything raises."""
    connection.execute(f"BEGIN {mode}")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise


def truncate_log(connection: sqlite3.Connection, path: Path, limit_s: float) -> None:
    """Move the write-ahead log into the file and empty it, so that erased bytes are in neither.

    Raises:
        GalleryBusy: readers held the log for longer than `limit_s`.
    """
    deadline = time.monotonic() + limit_s
    while True:
        try:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        except sqlite3.OperationalError as error:
            if isinstance(translate(error, path), GalleryBusy):
                busy = 1
            else:
                raise
        if not busy:
            return
        if time.monotonic() > deadline:
            raise GalleryBusy(
                f"erased from the record of {path}, but readers have held its log for {limit_s:.0f} s, so "
                "its bytes may still be in the log",
                hint="end long-running readers, then run the check, which finishes the erasure",
            )
        time.sleep(0.02)


def create_private(path: Path) -> None:
    """Make an empty file that is its owner's alone from its first byte on, in place of one that is there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def sync_file(path: Path) -> None:
    """Force a file and the folder that names it onto the disk."""
    for target in (path, path.parent):
        handle = os.open(target, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


class Store:
    """An open file: `write()` and `read()` give transactions, `maintenance()` a lock for slow work."""

    def __init__(self, path: Path, *, readonly: bool, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        self.path = path
        self.readonly = readonly
        self.busy_timeout_s = busy_timeout_s
        self._write_lock = threading.RLock()
        self._read_lock = threading.RLock()
        self._closed = False
        with mapped_errors(path):
            self._writer = connect(path, readonly=readonly, busy_timeout_s=busy_timeout_s)
            try:
                self._reader = connect(path, readonly=readonly, busy_timeout_s=busy_timeout_s)
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
                yield connection

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A read transaction: everything in the block sees one state of the gallery. Not to be nested."""
        with self._read_lock, mapped_errors(self.path):
            self._refuse_closed()
            with transaction(self._reader, "DEFERRED") as connection:
                yield connection

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
