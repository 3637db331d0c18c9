"""The server that a gallery is on: transactions, tried again where others were in the way, and its errors in our words.

Whoever changes a gallery holds its row in `galleries` until the end of the transaction, so writers take turns: numbers
of faces become visible in their order, and two writers never wait for each other in a circle.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from likeness.addresses import masked
from likeness.database import (
    Timeouts,
    connection_lost,
    first_line,
    postgres_engine,
    refused_to_connect,
    sqlstate,
)
from likeness.errors import (
    GalleryBusy,
    GalleryMissing,
    GalleryUnreachable,
    LikenessError,
    SettingsError,
    StorageError,
    StorageFull,
    StorageRefused,
)
from likeness.gallery.transfer import still_coming

T = TypeVar("T")

STATEMENT_TIMEOUT_S = 60.0
LOCK_TIMEOUT_S = 30.0
_ATTEMPTS = 6
_IN_THE_WAY = ("40001", "40P01")  # serialization_failure, deadlock_detected
_GONE = "42P01"  # undefined_table: a re-embedding took the vectors' table away in the meantime
_BRIEFLY_MS = 200
_LOCKS = 0x4C6B4761  # "LkGa"

CONSISTENT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
"""Options of a connection whose transaction sees one state of the database, and changes nothing."""

_STATE = """
SELECT id, space, dimension, maker, salt, changes, generation, last_face, faces, reembedding, importing
FROM galleries WHERE name = :name
"""
_HOLD = """
UPDATE galleries SET changes = changes + 1 WHERE name = :name
RETURNING id, space, dimension, maker, salt, changes, generation, last_face, faces, reembedding, importing
"""


@dataclass(frozen=True, slots=True)
class State:
    """A gallery's row: what it is, and counters."""

    id: int
    space: str
    dimension: int
    maker: str | None
    salt: bytes
    changes: int
    generation: int
    last_face: int
    faces: int
    reembedding: str | None
    importing: str | None

    @property
    def vectors(self) -> str:
        """The table of the vectors that are searched."""
        return vectors_table(self.id, self.generation)

    @property
    def vectors_next(self) -> str:
        """The table that a re-embedding fills."""
        return vectors_table(self.id, self.generation + 1)


def vectors_table(gallery: int, generation: int) -> str:
    """The name of a table of vectors; the numbers make it one of ours."""
    return f"gallery_vectors_{int(gallery)}_{int(generation)}"


def vectors_tables(connection: Connection, state: State) -> list[str]:
    """All tables of vectors that a gallery has: what a re-embedding fills, or left behind, too."""
    rows = connection.execute(
        text(
            "SELECT tablename FROM pg_tables WHERE schemaname = ANY (current_schemas(false)) "
            "AND starts_with(tablename, :prefix)"
        ),
        {"prefix": f"gallery_vectors_{state.id}_"},
    )
    return sorted(row[0] for row in rows)


def wait_briefly(connection: Connection) -> None:
    """Give up soon, for this transaction, where others hold a lock: whoever waits for a table stops all who come."""
    connection.execute(text(f"SET LOCAL lock_timeout = {_BRIEFLY_MS}"))


def take_time(connection: Connection) -> None:
    """Let statements of this transaction run as long as they need: all faces of a large gallery may be concerned."""
    connection.execute(text("SET LOCAL statement_timeout = 0"))


class Server:
    """One gallery on a server. Thread-safe: each call has a connection of its own from the pool."""

    def __init__(self, uri: str, name: str, *, timeouts: Timeouts | None = None) -> None:
        limits = timeouts or Timeouts(STATEMENT_TIMEOUT_S, LOCK_TIMEOUT_S)
        self.address, self.name = masked(uri), name
        self.engine = postgres_engine(uri, what="a gallery", timeouts=limits)
        self._lock_s = limits.lock_s
        self._turn = threading.Lock()
        self._closed = False

    def state(self, connection: Connection) -> State:
        """The gallery's row at present.

        Raises:
            GalleryMissing: there is none.
        """
        row = connection.execute(text(_STATE), {"name": self.name}).first()
        if row is None:
            raise self.missing()
        return State(*row)

    def missing(self) -> GalleryMissing:
        """Nobody has enrolled anybody there."""
        return GalleryMissing(
            f"there is no gallery {self.name!r} at {self.address}", hint="enrol somebody, which creates it"
        )

    def read(self, work: Callable[[Connection, State], T], *, consistent: bool = False) -> T:
        """What `work` finds; it may be called again, where vectors were exchanged meanwhile.

        With `consistent` all its statements see one state of the database.
        """

        def once() -> T:
            with self.engine.connect() as connection:
                if consistent:
                    connection = connection.execution_options(**CONSISTENT)
                return work(connection, self.state(connection))

        return self._again(once, (*_IN_THE_WAY, _GONE))

    def write(self, work: Callable[[Connection, State], T], *, importing: bool = False) -> T:
        """A change of the gallery, durable on return; `work` may be called again, after a rollback.

        Raises:
            GalleryBusy: another gallery's contents are coming in, and it is not `importing` that changes it.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                row = connection.execute(text(_HOLD), {"name": self.name}).first()
                if row is None:
                    raise self.missing()
                return work(connection, self._own(State(*row), importing))

        return self._again(once, _IN_THE_WAY)

    def append(self, work: Callable[[Connection, State], T], *, importing: bool = False) -> T:
        """A change that is none of people and faces: nobody who writes those is waited for.

        Raises:
            GalleryBusy: as `write` does.
        """

        def once() -> T:
            with self.engine.begin() as connection:
                return work(connection, self._own(self.state(connection), importing))

        return self._again(once, _IN_THE_WAY)

    def _own(self, state: State, importing: bool) -> State:
        """The state, of a gallery whose contents are its own: opened before an import began, it has to hold still."""
        if state.importing is not None and not importing:
            raise still_coming(self.address)
        return state

    def _again(self, once: Callable[[], T], states: tuple[str, ...]) -> T:
        if self._closed:
            raise StorageError(f"the gallery {self.address} has been closed", hint="open it again")
        attempt = 0
        with self.errors():
            while True:
                attempt += 1
                try:
                    return once()
                except DBAPIError as error:
                    if attempt == _ATTEMPTS or sqlstate(error) not in states:
                        raise
                time.sleep(random.uniform(0.005, 0.02) * 2**attempt)  # noqa: S311 - only so that not all come at once

    @contextmanager
    def maintenance(self, gallery: int) -> Iterator[None]:
        """A lock across processes: snapshots and erasures are made by one at a time. It ends with its connection.

        Threads take turns before that: each that waited on the server would keep a connection, and who has the lock
        needs a second one.

        Raises:
            GalleryBusy: another kept it for longer than the time limit.
        """
        if not self._turn.acquire(timeout=self._lock_s):
            raise self._busy()
        try:
            with self.errors(), self.engine.connect() as connection:
                connection.execute(
                    text("SELECT pg_advisory_xact_lock(:key, :gallery)"), {"key": _LOCKS, "gallery": gallery}
                )
                yield
                connection.rollback()
        finally:
            self._turn.release()

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn what SQLAlchemy and the driver raise into errors of ours, which quote no values and no password."""
        try:
            yield
        except DBAPIError as error:
            raise self._told(error) from error
        except PoolTimeout as error:
            raise GalleryBusy(
                f"all connections to {self.address} were in use for too long", hint="ask for less at once"
            ) from error
        except SQLAlchemyError as error:
            raise StorageError(f"the gallery at {self.address} failed: {type(error).__name__}") from error

    def _busy(self) -> GalleryBusy:
        words = f"others held the gallery at {self.address} for too long"
        return GalleryBusy(words, hint="try again when they are done")

    def _told(self, error: DBAPIError) -> LikenessError:
        state, at = sqlstate(error), self.address
        if state in (*_IN_THE_WAY, "55P03"):
            return self._busy()
        if state == "57014":
            return GalleryUnreachable(
                f"the gallery at {at} took longer than {STATEMENT_TIMEOUT_S:.0f} s to answer",
                hint="build its index: likeness gallery build-index",
            )
        if state in ("53100", "53200"):
            return StorageFull(f"no space is left for {at}", hint="free some space; nothing of this call was stored")
        if state == "25006":
            return StorageError(f"{at} may only be read, not changed", hint="name the primary server, not a copy of it")
        if state.startswith("28") or state == "42501":
            return StorageRefused(f"{at}: {first_line(error)}", hint="check the user, the password and what is granted")
        if not state and refused_to_connect(error):
            return StorageRefused(f"{at}: {first_line(error)}", hint="check the database, the user and the password")
        if connection_lost(error):
            words = f"the gallery at {at} does not answer: {first_line(error)}"
            return GalleryUnreachable(words, hint="is the server running, and the address right?")
        if not state and "invalid connection option" in str(error.orig):
            return SettingsError(
                f"{at} cannot be used: {first_line(error)}",
                hint="a gallery is named by ?gallery=NAME; what else the address may say is libpq's",
            )
        return StorageError(f"the gallery at {at} refused: {type(error.orig).__name__} ({state})")

    def close(self) -> None:
        """Let go of all connections; calling it again does nothing."""
        self._closed = True
        self.engine.dispose()
