"""The embedded queue: an SQLite file that the processes of one machine share; no server.

`send`, `acknowledge`, `retry` and `bury` return when the disk has it. A lease is not forced onto the disk: after a
power failure nobody holds one. Whoever waits asks again and again, at most ten times a second. The file must lie on a
disk of the machine, not on a network's.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from likeness.errors import StorageError
from likeness.intake.queues.base import (
    LEASE_S,
    MOST_ATTEMPTS,
    Body,
    DeadLetter,
    Depth,
    Message,
    Queue,
    clean_reason,
    decode,
    encode,
    silence,
)
from likeness.intake.queues.queue_file import prepare, queue_errors
from likeness.sqlite import connect, transaction

_FIRST_PAUSE_S = 0.005
_LONGEST_PAUSE_S = 0.1
_HELD = "queue = ? AND id = ? AND receipt = ? AND died_at IS NULL"


def open_embedded(uri: str, name: str) -> EmbeddedQueue:
    """Open or make the queue `name` in the file at a path (or `file://` address).

    Raises:
        SettingsError: the file is of another program.
        QueueUnavailable, StorageError.
    """
    return EmbeddedQueue(Path(uri.removeprefix("file://")).expanduser().absolute(), name)


class EmbeddedQueue(Queue):
    """See `likeness.intake.queues.base.Queue`. Made by `open_embedded`."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self._path = path
        self._now = prepare(path)
        self._lock = threading.Lock()
        self._closed = False
        with queue_errors(path):
            self._durable = connect(path)
            try:
                self._quick = connect(path)
            except BaseException:
                self._durable.close()
                raise
            self._quick.execute("PRAGMA synchronous=NORMAL")  # whole after a crash, but without waiting for the disk

    def send(self, bodies: Sequence[Body], *, delay_s: float = 0.0) -> list[str]:  # noqa: D102
        texts = [encode(body) for body in bodies]
        ids = [secrets.token_hex(12) for _ in texts]
        with self._write() as connection:
            due_at = self._now() + delay_s
            connection.executemany(
                "INSERT INTO messages (queue, id, body, due_at, delay_s) VALUES (?, ?, ?, ?, ?)",
                [(self.name, id_, text, due_at, delay_s) for id_, text in zip(ids, texts, strict=True)],
            )
        return ids

    def receive(self, most: int = 1, *, wait_s: float = 0.0, lease_s: float = LEASE_S) -> list[Message]:  # noqa: D102
        deadline = time.monotonic() + wait_s
        pause_s = _FIRST_PAUSE_S
        while True:
            messages = self._lease(most, lease_s) if self._any_due() else []
            left_s = deadline - time.monotonic()
            if messages or left_s <= 0:
                return messages
            time.sleep(min(pause_s, left_s))
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _any_due(self) -> bool:
        """Looked up without the lock that writers share, which those who wait in vain would keep from them."""
        with self._read() as connection:
            return bool(
                connection.execute(
                    "SELECT EXISTS (SELECT 1 FROM messages WHERE queue = ? AND died_at IS NULL AND due_at <= ?)",
                    (self.name, self._now()),
                ).fetchone()[0]
            )

    def _lease(self, most: int, lease_s: float) -> list[Message]:
        leased: list[Message] = []
        with self._write(quick=True) as connection:
            now = self._now()
            while len(leased) < most:
                rows = connection.execute(
                    "SELECT seq, id, body, attempts FROM messages"
                    " WHERE queue = ? AND died_at IS NULL AND due_at <= ? ORDER BY due_at, seq LIMIT ?",
                    (self.name, now, most - len(leased)),
                ).fetchall()
                for seq, id_, body, attempts in rows:
                    if attempts >= MOST_ATTEMPTS:
                        _die(connection, seq, silence(attempts))
                        continue
                    receipt = secrets.token_hex(8)
                    connection.execute(
                        "UPDATE messages SET attempts = ?, receipt = ?, due_at = ? WHERE seq = ?",
                        (attempts + 1, receipt, now + lease_s, seq),
                    )
                    leased.append(Message(id_, decode(body), attempts + 1, receipt))
                if not rows:
                    break
        return leased

    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:  # noqa: D102
        with self._write(quick=True) as connection:
            values = (self._now() + lease_s, *self._key(message))
            return connection.execute(f"UPDATE messages SET due_at = ? WHERE {_HELD}", values).rowcount > 0  # noqa: S608

    def acknowledge(self, *messages: Message) -> bool:  # noqa: D102
        with self._write() as connection:
            done = connection.executemany(f"DELETE FROM messages WHERE {_HELD}", map(self._key, messages))  # noqa: S608
            return done.rowcount == len(messages)

    def retry(self, message: Message, *, after_s: float, reason: str) -> bool:  # noqa: D102
        if message.attempt >= MOST_ATTEMPTS:
            return self.bury(message, reason)
        with self._write() as connection:
            values = (self._now() + after_s, after_s, *self._key(message))
            return (
                connection.execute(
                    f"UPDATE messages SET due_at = ?, delay_s = ?, receipt = NULL WHERE {_HELD}",  # noqa: S608
                    values,
                ).rowcount
                > 0
            )

    def bury(self, message: Message, reason: str) -> bool:  # noqa: D102
        with self._write() as connection:
            row = connection.execute(f"SELECT seq FROM messages WHERE {_HELD}", self._key(message)).fetchone()  # noqa: S608
            if row is not None:
                _die(connection, row[0], clean_reason(reason))
        return row is not None

    def depth(self) -> Depth:  # noqa: D102
        self._bury_silent()
        with self._read() as connection:
            now = self._now()
            row = connection.execute(
                "SELECT count(*) FILTER (WHERE died_at IS NULL AND due_at <= :now),"
                " count(*) FILTER (WHERE died_at IS NULL AND due_at > :now AND receipt IS NULL),"
                " count(*) FILTER (WHERE died_at IS NULL AND due_at > :now AND receipt IS NOT NULL),"
                " count(*) FILTER (WHERE died_at IS NOT NULL) FROM messages WHERE queue = :queue",
                {"now": now, "queue": self.name},
            ).fetchone()
        return Depth(*row)

    def dead(self, most: int = 100) -> list[DeadLetter]:  # noqa: D102
        self._bury_silent()
        with self._read() as connection:
            rows = connection.execute(
                "SELECT id, body, attempts, reason, died_at FROM messages"
                " WHERE queue = ? AND died_at IS NOT NULL ORDER BY died_at DESC, seq DESC LIMIT ?",
                (self.name, most),
            ).fetchall()
        return [
            DeadLetter(id_, decode(body), attempts, reason, datetime.fromtimestamp(died_at, UTC))
            for id_, body, attempts, reason, died_at in rows
        ]

    def revive(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        change = "UPDATE messages SET died_at = NULL, reason = NULL, attempts = 0, delay_s = 0, due_at = ?"
        return self._change_dead(change, (self._now(),), ids)

    def drop(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        return self._change_dead("DELETE FROM messages", (), ids)

    def _change_dead(self, change: str, values: tuple[float, ...], ids: Sequence[str] | None) -> int:
        where = f"{change} WHERE queue = ? AND died_at IS NOT NULL"
        with self._write() as connection:
            if ids is None:
                return connection.execute(where, (*values, self.name)).rowcount
            found = (connection.execute(f"{where} AND id = ?", (*values, self.name, id_)).rowcount for id_ in ids)
            return sum(found)

    def _bury_silent(self) -> None:
        """Let those die whose last lease ended without a word; `_lease` does it with those that it meets."""
        with self._write(quick=True) as connection:
            rows = connection.execute(
                "SELECT seq, attempts FROM messages"
                " WHERE queue = ? AND died_at IS NULL AND due_at <= ? AND attempts >= ?",
                (self.name, self._now(), MOST_ATTEMPTS),
            ).fetchall()
            for seq, attempts in rows:
                _die(connection, seq, silence(attempts))

    def _key(self, message: Message) -> tuple[str, str, str]:
        return self.name, message.id, message.receipt

    @contextmanager
    def _write(self, *, quick: bool = False) -> Iterator[sqlite3.Connection]:
        with self._lock, queue_errors(self._path):
            self._refuse_closed()
            with transaction(self._quick if quick else self._durable) as connection:
                yield connection

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock, queue_errors(self._path):
            self._refuse_closed()
            yield self._quick

    def _refuse_closed(self) -> None:
        if self._closed:
            raise StorageError(f"the queue {self._path} has been closed", hint="open it again")

    def close(self) -> None:  # noqa: D102
        with self._lock:
            if not self._closed:
                self._closed = True
                self._quick.close()
                self._durable.close()


def _die(connection: sqlite3.Connection, seq: int, reason: str) -> None:
    connection.execute(
        "UPDATE messages SET died_at = ?, reason = ?, receipt = NULL WHERE seq = ?", (time.time(), reason, seq)
    )
