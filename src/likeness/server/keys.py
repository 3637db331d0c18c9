"""API keys: who may ask the server for what, until when. One SQLite file; the secrets themselves are not in it.

A secret reads `lk_<id>_<43 letters>`: the prefix tells people and secret scanners what it is, the id says which key it
is without telling it, and the letters are 256 random bits. What is stored is the secret's SHA-256. A slow, salted hash
is for passwords, which can be guessed from lists; nobody guesses 256 random bits, so a fast hash gives nothing away
when the file is stolen, and costs each request a microsecond instead of the tenth of a second that would let anybody
keep the server busy with wrong keys.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from likeness.errors import InputError, KeyNotFound, StorageError, StorageFull
from likeness.private import make_private
from likeness.sqlite import connect, transaction, translate

Scope = Literal["read", "enrol", "admin"]
"""What a key may do, each including those before it: ask; also enrol and change people; also erase and look after."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
Refusal = Literal["unknown", "revoked", "expired"]

APPLICATION_ID = 0x4C4B4559
"""`LKEY`, in the header of the file."""

NOTE_EVERY = timedelta(minutes=1)
"""The time of a key's last use is written no oftener than this."""

_LONGEST_NAME = 100
_PATIENCE_MS = 5000
_SECRET = re.compile(r"lk_([0-9a-f]{10})_[A-Za-z0-9_-]{43}")
_TABLE = """
CREATE TABLE IF NOT EXISTS keys (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, scope TEXT NOT NULL,
  hash BLOB NOT NULL, created_at TEXT NOT NULL, expires_at TEXT, revoked_at TEXT, last_used_at TEXT)
"""
_ROWS = "SELECT hash, id, name, scope, created_at, expires_at, revoked_at, last_used_at FROM keys ORDER BY number"


@dataclass(frozen=True, slots=True)
class Key:
    """An API key as it may be shown: everything but its secret.

    Attributes:
        id: stable, never used again; what the audit trail calls the key.
        name: what its owner calls it.
        expires_at, revoked_at, last_used_at: None where it does not, was not.
    """

    id: str
    name: str
    scope: Scope
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def actor(self) -> str:
        """What the audit trail calls whoever asks with this key."""
        return f"key:{self.id}"

    def allows(self, scope: Scope) -> bool:
        """Whether the key may do what needs `scope`."""
        return SCOPES.index(self.scope) >= SCOPES.index(scope)

    def refusal(self, now: datetime) -> Refusal | None:
        """Why the key is not taken any more; None where it is."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        times = ("created_at", "expires_at", "revoked_at", "last_used_at")
        return {"id": self.id, "name": self.name, "scope": self.scope} | {n: _text(getattr(self, n)) for n in times}


def _now() -> datetime:
    return datetime.now(UTC)


class KeyStore:
    """The keys of a file. Thread-safe; several processes may use one file, and see each other's changes at once.

    A file that is not there holds no keys; the first `create` makes it, its owner's alone. One that was deleted or
    replaced while it was open is let go of with the next question, so that deleting it revokes every key. Whatever is
    asked of a file that cannot be read or written raises `StorageError`.
    """

    def __init__(self, path: str | Path, *, clock: Callable[[], datetime] = _now) -> None:
        self.path = Path(path).expanduser().absolute()
        self._clock = clock
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._version = -1
        self._known: dict[str, tuple[bytes, Key]] = {}

    @classmethod
    def open(cls, path: str | Path, *, clock: Callable[[], datetime] = _now) -> KeyStore:
        """The keys at `path`, which need not exist yet.

        Raises:
            StorageError: there is something else, it cannot be read, or others may write it.
        """
        store = cls(path, clock=clock)
        store.list()
        return store

    def create(self, name: str, scope: Scope, expires: datetime | None = None) -> tuple[Key, str]:
        """Make a key; returns it with its secret, which is not kept and cannot be shown again.

        Raises:
            InputError: the name, the scope or the time of expiry cannot be used.
        """
        name = name.strip()
        if not name or len(name) > _LONGEST_NAME or not name.isprintable():
            raise InputError(f"expected a name of 1 to {_LONGEST_NAME} printable letters for the key, got {name!r}")
        if scope not in SCOPES:
            raise InputError(f"there is no scope {scope!r}", hint=f"known scopes: {', '.join(SCOPES)}")
        now = self._clock()
        if expires is not None and expires <= now:
            raise InputError(f"the key would have expired already, at {expires.isoformat()}")
        key = Key(secrets.token_hex(5), name, scope, now, expires)
        secret = f"lk_{key.id}_{secrets.token_urlsafe(32)}"
        row = (key.id, name, scope, _hash(secret), _text(now), _text(expires))
        with self._lock, self._told():
            with transaction(self._made()) as connection:
                connection.execute(
                    "INSERT INTO keys (id, name, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)", row
                )
            self._version = -1
        return key, secret

    def check(self, secret: str) -> Key | None:
        """The key whose secret it is; None where there is none, or it has expired or was revoked."""
        found = self._find(secret)
        now = self._clock()
        if found is None or found.refusal(now) is not None:
            return None
        if found.last_used_at is None or now - found.last_used_at >= NOTE_EVERY:
            self._note_use(found, now)
        return found

    def refusal(self, secret: str) -> tuple[Refusal | None, Key | None]:
        """Why `check` does not take a secret (None where it does), and whose it is; for logs, not for strangers."""
        found = self._find(secret)
        return ("unknown", None) if found is None else (found.refusal(self._clock()), found)

    def list(self) -> tuple[Key, ...]:
        """All keys, also expired and revoked ones, oldest first."""
        with self._lock, self._told():
            self._refresh()
            return tuple(key for _, key in self._known.values())

    def usable(self) -> bool:
        """Whether there is a key that `check` would take."""
        return any(key.refusal(self._clock()) is None for key in self.list())

    def revoke(self, key_id: str) -> Key:
        """End a key at once, in every process; one that was revoked before stays as it is.

        Raises:
            KeyNotFound: no key has that id.
        """
        with self._lock, self._told():
            self._refresh()
            if key_id not in self._known or self._connection is None:
                raise KeyNotFound(f"there is no key {key_id!r}", hint="`likeness keys list` shows them")
            with transaction(self._connection) as connection:
                connection.execute(
                    "UPDATE keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (_text(self._clock()), key_id)
                )
            self._version = -1
            self._refresh()
            return self._known[key_id][1]

    def close(self) -> None:
        """Let go of the file; the next question opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection, self._file, self._known, self._version = None, None, {}, -1

    def _find(self, secret: str) -> Key | None:
        matched = _SECRET.fullmatch(secret)
        if matched is None:
            return None
        seal = _hash(secret)
        with self._lock, self._told():
            self._refresh()
            stored, key = self._known.get(matched[1], (b"", None))
        return key if hmac.compare_digest(stored, seal) else None

    def _note_use(self, key: Key, now: datetime) -> None:
        """Write when a key was last used; where that fails, for a lock or a file that may only be read, it is left."""
        with self._lock:
            if self._connection is None or key.id not in self._known:
                return
            # In memory first: a file that cannot be written is tried once a minute too, not with each request.
            self._known[key.id] = (self._known[key.id][0], replace(key, last_used_at=now))
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA busy_timeout=0")  # nobody's answer waits for a note
                try:
                    self._connection.execute("UPDATE keys SET last_used_at = ? WHERE id = ?", (_text(now), key.id))
                finally:
                    self._connection.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")

    def _refresh(self) -> None:
        """Bring what is known up to the file's state; costs two looks at it where nothing has changed."""
        connection = self._current()
        if connection is None:
            return
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if version == self._version:
            return
        self._known = {row[1]: (bytes(row[0]), _key(row[1:])) for row in connection.execute(_ROWS)}
        self._version = version

    def _current(self) -> sqlite3.Connection | None:
        """The connection to the file that is at the path now; None where there is none."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self.close()
            return None
        if self._connection is None or (status.st_dev, status.st_ino) != self._file:
            self.close()
            if status.st_mode & 0o022:
                raise StorageError(
                    f"others may write {self.path}, and so make keys for themselves", hint=f"chmod 600 {self.path}"
                )
            self._connection = self._expect_keys(connect(self.path, busy_timeout_s=_PATIENCE_MS / 1000))
            self._file = (status.st_dev, status.st_ino)
        return self._connection

    def _made(self) -> sqlite3.Connection:
        connection = self._current()
        if connection is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            make_private(self.path)
            connection = self._current()
        assert connection is not None  # made just now
        return connection

    def _expect_keys(self, connection: sqlite3.Connection) -> sqlite3.Connection:
        """Make the table in a new file, and refuse a file of something else."""
        try:
            if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
                with transaction(connection):
                    # Looked at under the lock: another process may be making the same file.
                    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                    made = connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
                    if tables and not made:
                        raise StorageError(f"{self.path} is a database of another program and holds no API keys")
                    connection.execute(_TABLE)
                    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (TypeError, ValueError) as error:  # of a row that SQLite takes for whole and this program does not
            raise StorageError(
                f"the API keys in {self.path} are damaged", hint="put a copy of the file in its place, or make new keys"
            ) from error
        except (sqlite3.Error, OSError) as error:
            if isinstance(full := translate(error, self.path), StorageFull):
                raise full from error
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise StorageError(
                f"the API keys in {self.path} cannot be read or written: {reason}",
                hint="the setting `keys` names the file; check its permissions",
            ) from error


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _text(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat()


def _key(row: tuple[Any, ...]) -> Key:
    key_id, name, scope, *times = row
    created, *others = (None if each is None else datetime.fromisoformat(each) for each in times)
    if created is None or scope not in SCOPES or not all(each is None or each.tzinfo for each in (created, *others)):
        raise ValueError("no key")
    return Key(key_id, name, scope, created, *others)
