"""What the bot must know after a restart: whom a chat enrolled, and which enrolment it is in the middle of.

One SQLite file, its owner's alone. A chat stands in it as a keyed hash: without the key, which is the bot's token
unless another secret is set, neither the file nor what the gallery notes of an enrolment leads back to a chat.
"""

from __future__ import annotations

import hmac
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal, Self

from likeness.errors import Conflict
from likeness.private import make_private
from likeness.sqlite import connect, mapped_errors, transaction

OPEN_S = 3600.0
"""An enrolment that nothing is heard of for so long is given up; what was enrolled stays."""
_PATIENCE_S = 5.0
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS enrolled (
  chat TEXT NOT NULL, person TEXT NOT NULL, PRIMARY KEY (chat, person)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS enrolments (
  chat TEXT PRIMARY KEY, nonce TEXT NOT NULL, stage TEXT NOT NULL, name TEXT NOT NULL, person TEXT NOT NULL,
  agreed TEXT NOT NULL, added INTEGER NOT NULL, refused INTEGER NOT NULL, at REAL NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """An enrolment that a chat is in the middle of.

    Attributes:
        nonce: stands in the buttons of its question, so that those of an older one do nothing.
        stage: the question is open, or photos are awaited.
        name: whose photos. person: their id, once there is one; else empty.
        agreed: when consent was given, in words.
        added, refused: how many photos so far.
    """

    nonce: str
    stage: Literal["asked", "photos"]
    name: str
    person: str = ""
    agreed: str = ""
    added: int = 0
    refused: int = 0


class State:
    """The bot's file. One process uses it."""

    def __init__(self, path: str | Path, secret: str, *, clock: Callable[[], float] = time.time) -> None:
        """Open it, or make it.

        Raises:
            Conflict: it was made with another secret. StorageError: it cannot be read or written.
        """
        self._path = Path(path).expanduser().absolute()
        self._key = blake2b(secret.encode(), digest_size=32, person=b"likeness bot").digest()
        self._clock = clock
        with mapped_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self._path)
            self._connection: sqlite3.Connection = connect(self._path, busy_timeout_s=_PATIENCE_S)
            self._connection.executescript(_TABLES)
            self._expect_same_secret()

    def mark(self, chat: int) -> str:
        """What stands for a chat here, in the gallery and in the audit trail: 16 hex digits."""
        return blake2b(f"chat {chat}".encode(), key=self._key, digest_size=8).hexdigest()

    def enrolment(self, mark: str) -> Enrolment | None:
        """The enrolment that a chat is in the middle of; those given up are gone."""
        with mapped_errors(self._path):
            self._connection.execute("DELETE FROM enrolments WHERE at <= ?", (self._clock() - OPEN_S,))
            row = self._connection.execute(
                "SELECT nonce, stage, name, person, agreed, added, refused FROM enrolments WHERE chat = ?", (mark,)
            ).fetchone()
        return None if row is None else Enrolment(*row)

    def keep(self, mark: str, enrolment: Enrolment) -> None:
        """Note how far an enrolment is, and whom it made; durable on return."""
        each = enrolment
        row = (mark, each.nonce, each.stage, each.name, each.person, each.agreed, each.added, each.refused)
        with mapped_errors(self._path), transaction(self._connection) as connection:
            connection.execute(
                "INSERT OR REPLACE INTO enrolments VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, self._clock())
            )
            if enrolment.person:
                connection.execute("INSERT OR IGNORE INTO enrolled VALUES (?, ?)", (mark, enrolment.person))

    def end(self, mark: str) -> None:
        """Let go of a chat's enrolment, its name with it."""
        with mapped_errors(self._path):
            self._connection.execute("DELETE FROM enrolments WHERE chat = ?", (mark,))

    def enrolled(self, mark: str) -> list[str]:
        """Ids of the people whom a chat enrolled."""
        with mapped_errors(self._path):
            rows = self._connection.execute("SELECT person FROM enrolled WHERE chat = ? ORDER BY person", (mark,))
            return [row[0] for row in rows]

    def forget(self, mark: str, person: str) -> None:
        """Let go of somebody who was erased."""
        with mapped_errors(self._path):
            self._connection.execute("DELETE FROM enrolled WHERE chat = ? AND person = ?", (mark, person))

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _expect_same_secret(self) -> None:
        """With another secret no chat would find again whom it enrolled, and nobody would notice."""
        check = blake2b(b"check", key=self._key, digest_size=16).digest()
        self._connection.execute("INSERT OR IGNORE INTO facts VALUES ('check', ?)", (check,))
        held = self._connection.execute("SELECT value FROM facts WHERE name = 'check'").fetchone()[0]
        if not hmac.compare_digest(bytes(held), check):
            self._connection.close()
            raise Conflict(
                f"{self._path} was made with another token of the bot, or another bot_secret",
                hint="set bot_secret to the token that it was made with, or name another file as bot_state",
            )


def new_nonce() -> str:
    """What tells one question's buttons from another's."""
    return secrets.token_hex(6)
