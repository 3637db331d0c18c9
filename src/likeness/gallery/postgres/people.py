"""People of a gallery on PostgreSQL: reading them, and changing what is stated about them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from likeness.errors import PersonExists, PersonNotFound
from likeness.gallery.identity import name_hash, name_key, new_person_id
from likeness.gallery.postgres.server import State
from likeness.gallery.stated import Facts, stated
from likeness.types import Consent, Person

_SELECT = """
SELECT p.key, p.id, p.created_at, p.name, p.profile, p.consent_basis, p.consent_at, p.consent_source, p.retain_until,
  (SELECT count(*) FROM gallery_faces f WHERE f.person = p.key)
FROM gallery_people p WHERE p.gallery = :gallery
"""
_STATED = """
name = :name, name_key = :name_key, name_hash = :name_hash, profile = :profile, consent_basis = :consent_basis,
consent_at = :consent_at, consent_source = :consent_source, retain_until = :retain_until
"""
_INSERT = """
INSERT INTO gallery_people (gallery, id, created_at, name, name_key, name_hash, profile, consent_basis, consent_at,
  consent_source, retain_until)
VALUES (:gallery, :id, :created_at, :name, :name_key, :name_hash, :profile, :consent_basis, :consent_at,
  :consent_source, :retain_until)
"""


@dataclass(frozen=True, slots=True)
class Record:
    """A person, and the key that only the tables use."""

    key: int
    person: Person


def find_by_name(connection: Connection, state: State, name: str) -> Record | None:
    """The person of that name, compared trimmed, normalised and case folded."""
    values = {"gallery": state.id, "name_hash": name_hash(state.salt, name)}
    row = connection.execute(text(_SELECT + "AND p.name_hash = :name_hash"), values).first()
    return None if row is None else _record(row)


def find_by_id(connection: Connection, state: State, person_id: str) -> Record:
    """The person with that id.

    Raises:
        PersonNotFound: nobody has it.
    """
    row = None
    if "\0" not in person_id:
        row = connection.execute(text(_SELECT + "AND p.id = :id"), {"gallery": state.id, "id": person_id}).first()
    if row is None:
        raise PersonNotFound(f"nobody in the gallery has the id {person_id!r}")
    return _record(row)


def find_by_names(connection: Connection, state: State, names: Sequence[str]) -> dict[str, Record]:
    """Name key → who has one of the names."""
    values = {"gallery": state.id, "hashes": [name_hash(state.salt, name) for name in names]}
    rows = connection.execute(text(_SELECT + "AND p.name_hash = ANY (:hashes)"), values)
    found = map(_record, rows)
    return {name_key(record.person.name): record for record in found}


def list_people(
    connection: Connection, state: State, *, query: str, after: Person | str | None, limit: int
) -> list[Person]:
    """See `Gallery.people`."""
    where, values = "", {"gallery": state.id, "limit": limit, "query": name_key(query).replace("\0", "\ufffd")}
    if values["query"]:
        where += " AND strpos(p.name_key, :query) > 0"
    if after is not None:
        last = after if isinstance(after, Person) else find_by_id(connection, state, after).person
        where += " AND (left(p.name_key, 200), p.name_key, p.id) > (left(:after_key, 200), :after_key, :after_id)"
        values |= {"after_key": name_key(last.name), "after_id": last.id}
    rows = connection.execute(
        text(f"{_SELECT}{where} ORDER BY left(p.name_key, 200), p.name_key, p.id LIMIT :limit"), values
    )
    return [_record(row).person for row in rows]


def count(connection: Connection, state: State) -> int:
    """How many people there are."""
    counted = text("SELECT count(*) FROM gallery_people WHERE gallery = :gallery")
    return int(connection.execute(counted, {"gallery": state.id}).scalar_one())


def people_after(connection: Connection, state: State, after: str, limit: int) -> list[Person]:
    """The next people after an id, in order of id."""
    rows = connection.execute(
        text(_SELECT + "AND p.id > :after ORDER BY p.id LIMIT :limit"),
        {"gallery": state.id, "after": after, "limit": limit},
    )
    return [_record(row).person for row in rows]


def insert(connection: Connection, state: State, given: Sequence[Facts]) -> None:
    """Add people, each with a new id."""
    at = datetime.now(UTC)
    take_in(connection, state, [_person(new_person_id(), facts, at) for facts in given])


def _person(person_id: str, facts: Facts, at: datetime) -> Person:
    return Person(person_id, facts.name, 0, at, dict(facts.profile), facts.consent, facts.retain_until)


def take_in(connection: Connection, state: State, given: Sequence[Person]) -> None:
    """Write people with the ids and times that they have."""
    rows = [
        _values(state, stated(person)) | {"gallery": state.id, "id": person.id, "created_at": person.created_at}
        for person in given
    ]
    if rows:
        connection.execute(text(_INSERT), rows)


def change(connection: Connection, state: State, record: Record, facts: Facts) -> None:
    """Replace what is stated about a person.

    Raises:
        PersonExists: another person has the new name.
    """
    other = find_by_name(connection, state, facts.name)
    if other is not None and other.key != record.key:
        raise PersonExists(
            f"another person is called {other.person.name!r} ({other.person.id})", hint="merge the two instead"
        )
    connection.execute(
        text(f"UPDATE gallery_people SET {_STATED} WHERE key = :key"),  # noqa: S608 - the columns above
        _values(state, facts) | {"key": record.key},
    )


def _values(state: State, facts: Facts) -> dict[str, Any]:
    consent = facts.consent
    return {
        "name": facts.name,
        "name_key": name_key(facts.name),
        "name_hash": name_hash(state.salt, facts.name),
        "profile": json.dumps(dict(facts.profile), ensure_ascii=False, allow_nan=False),
        "consent_basis": consent and consent.basis,
        "consent_at": consent and consent.at.isoformat(),
        "consent_source": consent and consent.source,
        "retain_until": facts.retain_until,
    }


def _record(row: Sequence[Any]) -> Record:
    key, person_id, created_at, name, profile, basis, at, source, retain_until, faces = row
    person = Person(
        id=person_id,
        name=name,
        faces=faces,
        created_at=created_at.astimezone(UTC),
        profile=json.loads(profile),
        consent=None if basis is None else Consent(basis, datetime.fromisoformat(at), source),
        retain_until=retain_until,
    )
    return Record(key, person)
