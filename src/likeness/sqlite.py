"""SQLite files that the project keeps: connections, transactions, and the one mapping of SQLite's errors."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from likeness.errors import GalleryBusy, GalleryCorrupt, LikenessError, StorageError, StorageFull

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
    except UnicodeDecodeError as error:  # SQLite quotes damage, and Python fails to read the quotation
        raise GalleryCorrupt(f"{path} is damaged", hint="restore a snapshot of it") from error
    except (sqlite3.Error, OSError) as error:
        raise translate(error, path) from error


def connect(
    path: Path,
    *,
    readonly: bool = False,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    kind: type[sqlite3.Connection] = sqlite3.Connection,
) -> sqlite3.Connection:
    """A connection with the settings that the gallery's promises rest on; transactions are begun by hand."""
    mode = ("immutable=1" if _stands_still(path) else "mode=ro") if readonly else "mode=rwc"
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?{mode}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        factory=kind,
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
