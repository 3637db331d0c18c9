"""The embedded queue's SQLite file: its tables, its errors, and the time that its leases are measured in.

**Time.** Leases and delays must not move when somebody sets the machine's clock. Where the operating system tells one
boot from another (Linux), time runs by the monotonic clock, which all processes of one boot share; the file remembers
the boot and what to add to that clock. It stands still while the machine sleeps, as the workers do. After a boot
whoever held a lease is gone: all leases end, and delays begin anew. Elsewhere time is the wall clock.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from likeness.errors import GalleryBusy, GalleryCorrupt, QueueUnavailable, SettingsError, StorageError
from likeness.private import make_private
from likeness.sqlite import BUSY_TIMEOUT_S, connect, mapped_errors, transaction

APPLICATION_ID = 0x4C6B5175  # "LkQu"
VERSION = 1
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_TABLES = (
    # due_at: when it may be received; while it is leased, when that ends. receipt: of the latest delivery.
    """CREATE TABLE messages (
      seq INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL UNIQUE, body TEXT NOT NULL,
      attempts INTEGER NOT NULL DEFAULT 0, due_at REAL NOT NULL, delay_s REAL NOT NULL, receipt TEXT,
      reason TEXT, died_at REAL)""",
    "CREATE INDEX alive ON messages (queue, due_at) WHERE died_at IS NULL",
    "CREATE INDEX dead ON messages (queue, died_at) WHERE died_at IS NOT NULL",
    "CREATE TABLE clock (boot TEXT NOT NULL, began_at REAL NOT NULL, added_s REAL NOT NULL)",
)


@contextmanager
def queue_errors(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the operating system into those of a queue."""
    try:
        with mapped_errors(path):
            yield
    except GalleryBusy as error:
        raise QueueUnavailable(
            f"the queue {path} is held by another process", hint="try again when it has finished"
        ) from error
    except GalleryCorrupt as error:
        raise StorageError(
            f"the queue {path} is damaged or is none", hint="move it away: a new one is made in its place"
        ) from error


def prepare(path: Path) -> Callable[[], float]:
    """Make the file where it is not there yet; gives its clock, in seconds.

    Raises:
        SettingsError: the file is of another program, or of a later version.
        QueueUnavailable, StorageError.
    """
    with queue_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_private(path)  # bodies may name people: the owner's alone
        connection = connect(path)
        try:
            _expect_ours(connection, path)
            _keep_log(connection)
            with transaction(connection):
                if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                    for statement in _TABLES:
                        connection.execute(statement)
                    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
                    connection.execute(f"PRAGMA user_version={VERSION}")
                return _clock(connection)
        finally:
            connection.close()


def _expect_ours(connection: sqlite3.Connection, path: Path) -> None:
    ours = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
    if not ours and connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise SettingsError(f"{path} is no queue, but a file of something else", hint="name another file as `queue`")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if ours and version > VERSION:
        raise SettingsError(f"{path} was made by a later version ({version}, not {VERSION})", hint="upgrade Likeness")


def _keep_log(connection: sqlite3.Connection) -> None:
    """Switch to a write-ahead log; SQLite does not wait by itself for others who open the new file just now."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _clock(connection: sqlite3.Connection) -> Callable[[], float]:
    boot = _boot()
    if not boot:
        return time.time
    known = connection.execute("SELECT boot, began_at, added_s FROM clock").fetchone()
    if known is not None and known[0] == boot:
        added_s = float(known[2])
    else:
        now = max(time.time(), 0.0 if known is None else float(known[1]))
        added_s = now - time.monotonic()
        connection.execute("DELETE FROM clock")
        connection.execute("INSERT INTO clock VALUES (?, ?, ?)", (boot, now, added_s))
        connection.execute(
            "UPDATE messages SET due_at = min(due_at, ? + CASE WHEN receipt IS NULL THEN delay_s ELSE 0 END)"
            " WHERE died_at IS NULL",
            (now,),
        )
    return lambda: time.monotonic() + added_s


def _boot() -> str:
    """What tells this boot of the machine from others; empty where nothing does."""
    try:
        return _BOOT.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
