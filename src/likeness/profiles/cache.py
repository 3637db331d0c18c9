"""What was looked up, kept for some days in one SQLite file that only its owner may read.

Nobody is asked twice for the same name within that time, not even about somebody nobody knows. What is out of date is
erased (its bytes are overwritten) whenever the file is opened.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from likeness.errors import StorageError
from likeness.private import make_private
from likeness.profiles.base import Profile

NAME = "profiles.sqlite"
_DAY_S = 86_400.0
_TABLE = """
CREATE TABLE IF NOT EXISTS cards (
  source TEXT NOT NULL, name TEXT NOT NULL, at REAL NOT NULL, card TEXT, PRIMARY KEY (source, name)) WITHOUT ROWID
"""


class Cache:
    """Cards by source and name; a source's key holds all that its answers depend on, such as the language."""

    def __init__(self, folder: Path, *, keep_days: float) -> None:
        self._path = folder / NAME
        self._keep_s = keep_days * _DAY_S

    def get(self, source: str, name: str) -> tuple[bool, Profile | None]:
        """Whether an answer is kept, and the answer: a card, or that nobody is known by that name."""
        if not self._path.exists():
            return False, None
        with self._open() as connection:
            row = connection.execute(
                "SELECT card FROM cards WHERE source = ? AND name = ?", (source, _key(name))
            ).fetchone()
        if row is None:
            return False, None
        return True, None if row[0] is None else Profile.from_dict(json.loads(row[0]))

    def put(self, source: str, name: str, card: Profile | None) -> None:
        """Keep an answer in place of an earlier one."""
        text = None if card is None else json.dumps(card.as_dict(), ensure_ascii=False)
        with self._open() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO cards VALUES (?, ?, ?, ?)", (source, _key(name), time.time(), text)
            )

    def forget(self, *names: str) -> int:
        """Erase what is kept under these names, of any source; returns how many cards that were."""
        if not self._path.exists():
            return 0
        with self._open() as connection:
            marks = ",".join("?" * len(names))
            gone = connection.execute(f"DELETE FROM cards WHERE name IN ({marks})", [*map(_key, names)])  # noqa: S608
            return gone.rowcount

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction on the file, which is made if need be; cards out of date are gone."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_private(self._path)
            with closing(sqlite3.connect(self._path, timeout=10.0)) as connection:
                connection.execute("PRAGMA secure_delete=ON")
                with connection:
                    connection.execute(_TABLE)
                    oldest = time.time() - self._keep_s
                    connection.execute("DELETE FROM cards WHERE at < ?", (oldest,))
                    yield connection
        except (OSError, sqlite3.Error) as error:
            raise StorageError(
                f"the cache of profiles {str(self._path)!r} cannot be used: {error}", hint="delete that file"
            ) from error


def _key(name: str) -> str:
    return " ".join(name.casefold().split())
