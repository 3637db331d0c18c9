"""People in the embedded gallery: reading them, and changing what is stated about them."""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from likeness.errors import PersonExists, PersonNotFound
from likeness.gallery.embedded.schema import SECRET, blank, last_number, read_row
from likeness.gallery.embedded.sealed import Connection, cells_of, owner_of_facts, put, take
from likeness.gallery.identity import name_hash, name_key, new_person_id
from likeness.gallery.stated import Facts, now
from likeness.types import Consent, Person

_SELECT = """
SELECT p.key, p.id, p.created_at, p.facts, f.name, f.profile, f.consent_basis, f.consent_at, f.consent_source,
  f.retain_until, (SELECT count(*) FROM faces WHERE person = p.key)
FROM people p JOIN facts f ON f.id = p.facts
"""
_SHOWN = tuple(column for column in SECRET["facts"] if column != "name_key")


@dataclass(frozen=True, slots=True)
class Record:
    """A person's row: the keys that only the tables use, and the person."""

    key: int
    facts: int
    person: Person


def find_by_name(connection: sqlite3.Connection, salt: bytes, name: str) -> Record | None:
    """The person of that name, compared trimmed, normalised and case folded."""
    row = connection.execute(_SELECT + "WHERE p.name_hash = ?", (name_hash(salt, name),)).fetchone()
    return None if row is None else _record(connection, row)


def find_by_id(connection: sqlite3.Connection, person_id: str) -> Record:
    """The person with that id.

    Raises:
        PersonNotFound: nobody has it.
    """
    row = connection.execute(_SELECT + "WHERE p.id = ?", (person_id,)).fetchone()
    if row is None:
        raise PersonNotFound(f"nobody in the gallery has the id {person_id!r}")
    return _record(connection, row)


def list_people(connection: sqlite3.Connection, *, query: str, after: Person | str | None, limit: int) -> list[Person]:
    """See `Gallery.people`."""
    if cells_of(connection) is not None:
        return _list_sealed(connection, query=name_key(query), after=after, limit=limit)
    where, values = ["instr(f.name_key, ?) > 0"], [name_key(query)]
    if not values[0]:
        where, values = ["1"], []
    if after is not None:
        last = after if isinstance(after, Person) else find_by_id(connection, after).person
        where.append("(f.name_key, p.id) > (?, ?)")
        values += [name_key(last.name), last.id]
    rows = connection.execute(
        f"{_SELECT} WHERE {' AND '.join(where)} ORDER BY f.name_key, p.id LIMIT ?",
        (*values, limit),
    )
    return [_record(connection, row).person for row in rows]


def _list_sealed(connection: sqlite3.Connection, *, query: str, after: Person | str | None, limit: int) -> list[Person]:
    """The same where SQLite cannot compare names, because they are sealed.

    Rows of facts never change, so each key of a name is opened once by a connection, and kept while the row is in use.
    """
    assert isinstance(connection, Connection)
    everybody = connection.execute("SELECT key, id, facts FROM people").fetchall()
    seen, names = connection.facts_seen, {}
    for key, person_id, facts in everybody:
        known = seen.get(facts)
        if known is None:
            stored = connection.execute("SELECT name_key FROM facts WHERE id = ?", (facts,)).fetchone()
            (known,) = take(connection, "facts", facts, owner_of_facts(key, person_id), stored, "name_key")
        names[facts] = known
    connection.facts_seen = names
    ranked = sorted((names[facts], person_id) for _, person_id, facts in everybody if query in names[facts])
    if after is not None:
        last = after if isinstance(after, Person) else find_by_id(connection, after).person
        ranked = ranked[bisect_right(ranked, (name_key(last.name), last.id)) :]
    return [find_by_id(connection, person_id).person for _, person_id in ranked[:limit]]


def people_after(connection: sqlite3.Connection, after: str, limit: int) -> list[Person]:
    """The next people after an id, in order of id."""
    rows = connection.execute(f"{_SELECT} WHERE p.id > ? ORDER BY p.id LIMIT ?", (after, limit))
    return [_record(connection, row).person for row in rows]


def insert(connection: sqlite3.Connection, salt: bytes, facts: Facts) -> int:
    """Add a person; returns the key."""
    key, person_id = last_number(connection, "people") + 1, new_person_id()
    number = insert_facts(connection, facts, key, person_id)
    connection.execute(
        "INSERT INTO people (key, id, name_hash, created_at, facts) VALUES (?, ?, ?, ?, ?)",
        (key, person_id, name_hash(salt, facts.name), now(), number),
    )
    return key


def change(connection: sqlite3.Connection, salt: bytes, record: Record, facts: Facts) -> None:
    """Replace what is stated about a person.

    Raises:
        PersonExists: another person has the new name.
    """
    other = find_by_name(connection, salt, facts.name)
    if other is not None and other.key != record.key:
        raise PersonExists(
            f"another person is called {other.person.name!r} ({other.person.id})",
            hint="merge the two instead",
        )
    new_hash = name_hash(salt, facts.name)
    # A new row and zeros in the old one: a row that changed its length would be moved, leaving a copy behind.
    connection.execute(
        "UPDATE people SET name_hash = ?, facts = ? WHERE key = ?",
        (new_hash, insert_facts(connection, facts, record.key, record.person.id), record.key),
    )
    blank(connection, "facts", [record.facts])


def move_notes(connection: sqlite3.Connection, salt: bytes, old_name: str, new_name: str) -> None:
    """Let the notes on one name's photos follow to another name, so that erasing a person finds them."""
    old, new = name_hash(salt, old_name), name_hash(salt, new_name)
    if old != new:
        connection.execute("UPDATE OR IGNORE notes SET name_hash = ? WHERE name_hash = ?", (new, old))
        erase_notes(connection, old)


def erase_notes(connection: sqlite3.Connection, hashed_name: bytes) -> None:
    """Erase the notes on one name's photos."""
    rows = connection.execute("SELECT id FROM notes WHERE name_hash = ?", (hashed_name,)).fetchall()
    blank(connection, "notes", [row[0] for row in rows])
    connection.executemany(
        "UPDATE notes SET name_hash = randomblob(16), photo_hash = randomblob(16) WHERE id = ?", rows
    )


def names_by_key(connection: sqlite3.Connection, keys: Iterable[int]) -> dict[int, tuple[str, str]]:
    """Person key → (id, name); keys that are nobody's any more are missing."""
    found: dict[int, tuple[str, str]] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), 500):
        part = wanted[start : start + 500]
        rows = connection.execute(
            "SELECT p.key, p.id, f.id, f.name FROM people p JOIN facts f ON f.id = p.facts "  # noqa: S608 - only marks
            f"WHERE p.key IN ({','.join('?' * len(part))})",
            part,
        )
        for key, person_id, facts, stored in rows:
            (name,) = take(connection, "facts", facts, owner_of_facts(key, person_id), (stored,), "name")
            found[key] = person_id, name
    return found


def insert_facts(connection: sqlite3.Connection, facts: Facts, key: int, person_id: str) -> int:
    """Write what is stated about the person with that key and id; returns the row's number."""
    consent, number = facts.consent, last_number(connection, "facts") + 1
    values = (
        facts.name,
        name_key(facts.name),
        json.dumps(dict(facts.profile), ensure_ascii=False, allow_nan=False),
        consent and consent.basis,
        consent and consent.at.isoformat(),
        consent and consent.source,
        facts.retain_until and facts.retain_until.isoformat(),
    )
    connection.execute(
        "INSERT INTO facts (id, name, name_key, profile, consent_basis, consent_at, consent_source, retain_until) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, *put(connection, "facts", number, owner_of_facts(key, person_id), values)),
    )
    return number


def _record(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Record:
    key, person_id, created_at, facts, *stored, faces = row
    name, profile, basis, at, source, retain_until = take(
        connection, "facts", facts, owner_of_facts(key, person_id), stored, *_SHOWN
    )
    with read_row("people", key):
        person = Person(
            id=person_id,
            name=name,
            faces=faces,
            created_at=datetime.fromisoformat(created_at),
            profile=json.loads(profile),
            consent=None if basis is None else Consent(basis, datetime.fromisoformat(at), source),
            retain_until=None if retain_until is None else date.fromisoformat(retain_until),
        )
    return Record(key, facts, person)
