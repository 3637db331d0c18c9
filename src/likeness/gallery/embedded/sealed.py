"""How the secrets in a gallery's file are sealed, and the connection that knows it.

The meta row `sealing` holds the envelope. While a gallery is being encrypted, decrypted or given another data key, it
holds both envelopes (none stands for plain), and for each table up to where rows have the new form: rows up to `done`
and rows above `ceiling`, which came later, have it, those in between the old one. So each row's form follows from what
the transaction sees, never from how its bytes look: a plain value is not taken where a sealed one belongs.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from likeness.errors import SealBroken
from likeness.gallery.embedded.schema import SECRET, get_meta, set_meta
from likeness.gallery.keys import OwnerKey
from likeness.gallery.sealing import OVERHEAD, Envelope, Sealer, new_envelope, open_envelope

CELL_OVERHEAD = OVERHEAD + 1
TABLES = ("facts", "vectors", "pictures")
"""Tables with sealed columns (those of `SECRET`); `vectors_next` is sealed as `vectors`, whose name it will take."""

_NONE, _TEXT, _BYTES = b"\0", b"\1", b"\2"


@dataclass(frozen=True, slots=True)
class Sealing:
    """The meta row `sealing`.

    Attributes:
        new: the envelope in force; None where rows are (or become) plain.
        old: while rows change their form, the envelope of those that have not yet; None for plain.
        done, ceiling: by table, see above; empty where all rows have the same form.
    """

    new: Envelope | None
    old: Envelope | None = None
    done: dict[str, int] = field(default_factory=dict)
    ceiling: dict[str, int] = field(default_factory=dict)

    @property
    def changing(self) -> bool:
        """Whether rows of both forms are there."""
        return bool(self.ceiling)

    def as_json(self) -> str:
        """For the meta row."""
        envelopes = {name: each and each.as_dict() for name, each in (("new", self.new), ("old", self.old))}
        return json.dumps(envelopes | {"done": self.done, "ceiling": self.ceiling})


PLAIN = Sealing(None)


def read_sealing(connection: sqlite3.Connection) -> Sealing:
    """How the file's secrets are sealed; for any connection."""
    return _parse(get_meta(connection, "sealing"))


def _parse(stored: object) -> Sealing:
    if stored is None:
        return PLAIN
    data = json.loads(str(stored))
    new, old = (None if data[name] is None else Envelope(**data[name]) for name in ("new", "old"))
    return Sealing(new, old, data["done"], data["ceiling"])


class Cells:
    """Seals and opens cells, each as its row is sealed."""

    def __init__(self, sealing: Sealing, key: OwnerKey | None, *, of: str) -> None:
        self.sealing = sealing
        self.sealer: Sealer | None = None if sealing.new is None else open_envelope(sealing.new, key, of=of)
        """Seals what is not in rows; None where all is (or becomes) plain."""
        self._old = None if sealing.old is None else open_envelope(sealing.old, key, of=of)

    def put(self, table: str, column: str, row: int, owner: object, value: Any) -> Any:
        """A value as it is stored."""
        sealer = self._for(table, row)
        if sealer is None:
            return value
        packed = _NONE if value is None else _TEXT + value.encode() if isinstance(value, str) else _BYTES + value
        return sealer.seal(_place(table, column, row, owner), packed)

    def take(self, table: str, column: str, row: int, owner: object, stored: Any) -> Any:
        """What a stored value holds."""
        sealer = self._for(table, row)
        if sealer is None:
            return stored
        data = sealer.open(_place(table, column, row, owner), stored)
        kind, held = data[:1], data[1:]
        if kind == _BYTES:
            return held
        if kind not in (_NONE, _TEXT):
            raise SealBroken(f"the sealed {table}.{column} of row {row} is of no kind that is known")
        return None if kind == _NONE else held.decode()

    def _for(self, table: str, row: int) -> Sealer | None:
        if not self.sealing.ceiling or table not in self.sealing.ceiling:
            return self.sealer
        has_new_form = row <= self.sealing.done[table] or row > self.sealing.ceiling[table]
        return self.sealer if has_new_form else self._old


def _place(table: str, column: str, row: int, owner: object) -> str:
    return f"{table}.{column} {row} of {owner}"


class Connection(sqlite3.Connection):
    """A connection to a gallery's file; whoever begins a transaction says how the secrets are sealed in it."""

    cells: Cells | None = None
    facts_seen: dict[int, str]
    """Of a sealed gallery, the keys of names by their row, which never changes; see `people.list_people`."""

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.facts_seen = {}


def cells_of(connection: sqlite3.Connection) -> Cells | None:
    """How the transaction's secrets are sealed; None where they are plain."""
    if not isinstance(connection, Connection):
        raise TypeError("expected a connection of the store, which knows how the file is sealed")
    return connection.cells


def put(connection: sqlite3.Connection, table: str, row: int, owner: object, values: Sequence[Any]) -> Sequence[Any]:
    """The secret columns of a row (in the order of `SECRET`) as they are stored."""
    cells = cells_of(connection)
    if cells is None:
        return values
    return [cells.put(table, name, row, owner, value) for name, value in zip(SECRET[table], values, strict=True)]


def take(
    connection: sqlite3.Connection, table: str, row: int, owner: object, stored: Sequence[Any], *columns: str
) -> Sequence[Any]:
    """What the secret columns of a row hold: all, in the order of `SECRET`, or those named."""
    cells = cells_of(connection)
    if cells is None:
        return stored
    names = columns or SECRET[table]
    return [cells.take(table, name, row, owner, value) for name, value in zip(names, stored, strict=True)]


def fresh(key: OwnerKey | None) -> dict[str, object]:
    """The meta values of a new gallery that have to do with secrets; with a key they are sealed."""
    salt = secrets.token_bytes(32)
    if key is None:
        return {"salt": salt}
    envelope, _ = new_envelope(key)
    sealing = Sealing(envelope)
    return {"sealing": sealing.as_json(), "salt": Cells(sealing, key, of="it").put("meta", "salt", 0, "", salt)}


def read_salt(connection: sqlite3.Connection) -> bytes:
    """The key of the hashes of names and photos."""
    stored, cells = get_meta(connection, "salt"), cells_of(connection)
    salt: bytes = stored if cells is None else cells.take("meta", "salt", 0, "", stored)  # type: ignore[assignment]
    return salt


def write_salt(connection: sqlite3.Connection, salt: bytes) -> None:
    """Take on a key of the hashes."""
    cells = cells_of(connection)
    set_meta(connection, salt=salt if cells is None else cells.put("meta", "salt", 0, "", salt))


def owner_of_facts(key: int, person_id: str) -> str:
    """Whom a row of `facts` is bound to."""
    return f"{key} {person_id}"


def rebind(connection: sqlite3.Connection, face_ids: Sequence[int], source: int, into: int) -> None:
    """Bind the sealed cells of faces to another person; rows keep their length, and so their place."""
    cells = cells_of(connection)
    if cells is None:
        return
    for table, stored_as in (("vectors", "vectors"), ("vectors_next", "vectors"), ("pictures", "pictures")):
        for face in face_ids:

            def change(column: str, value: Any, place: tuple[str, int] = (stored_as, face)) -> Any:
                held = cells.take(place[0], column, place[1], source, value)
                return cells.put(place[0], column, place[1], into, held)

            rewrite(connection, table, face, change)


def rewrite(connection: sqlite3.Connection, table: str, row: int, change: Callable[[str, Any], Any]) -> None:
    """Put other values into a row's secret columns, each by `change(column, stored)`, if there is such a row."""
    columns = SECRET[table]
    select = f"SELECT {', '.join(columns)} FROM {table} WHERE id = ?"  # noqa: S608 - names of the schema
    stored = connection.execute(select, (row,)).fetchone()
    if stored is not None:
        values = [change(column, value) for column, value in zip(columns, stored, strict=True)]
        marks = ", ".join(f"{column} = ?" for column in columns)
        connection.execute(f"UPDATE {table} SET {marks} WHERE id = ?", (*values, row))  # noqa: S608
