"""People on Elasticsearch: a document each, found by id, and by a document that stands for the name.

The name's document has the keyed hash of the name for an id, so that no two people can have one name. It says nothing
by itself: where it names somebody who is gone or is called otherwise, the name is free.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from likeness.errors import InputError, PersonExists, PersonNotFound
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.changes import GONE, Change, Plan
from likeness.gallery.elastic.head import Head, as_head
from likeness.gallery.elastic.store import HEAD, Kept, Pit, Store
from likeness.gallery.identity import name_hash, name_key, new_person_id
from likeness.gallery.stated import Facts, now, stated
from likeness.types import Consent, Person

_ID = re.compile(r"p_[0-9a-f]{16}")
_LONGEST_NAME_BYTES = 8_000
"""Elasticsearch's keywords end at 32,766 bytes; a folded name can be longer than the name."""


@dataclass(frozen=True, slots=True)
class Record:
    """A person with the documents that are theirs; `person.faces` is 0 until it is counted."""

    person: Person
    kept: Kept
    name: Kept | None


def name_id(head: Head, name: str) -> str:
    """The id of the document that stands for a name."""
    return f"n_{name_hash(head.key, name).hex()}"


def find(store: Store, name_or_id: str) -> tuple[Head, Record]:
    """Somebody by id or name, as they are now, and the head after that.

    Raises:
        PersonNotFound: nobody has that id or name.
    """
    person_id = name_or_id
    if not _ID.fullmatch(name_or_id):
        named = store.get(store.people, name_id(store.head()[0], name_or_id))
        person_id = str(named.body.get("person")) if named else ""
    head, found = find_many(store, [person_id] if person_id else [])
    record = found.get(person_id)
    if record is None or record.person.id != person_id or not _answers_to(record.person, name_or_id):
        raise PersonNotFound(f"nobody in the gallery has the id or name {name_or_id!r}")
    return head, record


def _answers_to(person: Person, name_or_id: str) -> bool:
    return person.id == name_or_id or name_key(person.name) == name_key(name_or_id)


def find_many(store: Store, ids: Sequence[str]) -> tuple[Head, dict[str, Record]]:
    """Those of some people who are there, as they are now, and the head; somebody who was merged is who they became."""
    found: dict[str, Record] = {}
    wanted = {id_: id_ for id_ in ids}
    while True:
        asked = sorted(set(wanted.values()))
        top, *docs = store.get_many([(store.meta, HEAD), *((store.people, id_) for id_ in asked)])
        if top is None:
            raise store.missing()
        head = as_head(top.body, store.address.shown)
        there = {kept.id: kept for kept in docs if kept is not None}
        following: dict[str, str] = {}
        for first, id_ in wanted.items():
            kept = there.get(id_)
            if kept is not None and kept.body.get("into"):
                following[first] = kept.body["into"]
            elif kept is not None and kept.body["kind"] == "person" and kept.body["change"] <= head.committed:
                found[first] = Record(as_person(kept.body), kept, None)
        if not following:
            return head, found
        wanted = following


def by_id(store: Store, person_id: str) -> tuple[Head, Record]:
    """The person with that very id; nobody stands in for them.

    Raises:
        PersonNotFound: nobody has it.
    """
    head, found = find_many(store, [person_id] if _ID.fullmatch(person_id) else [])
    record = found.get(person_id)
    if record is None or record.person.id != person_id:
        raise PersonNotFound(f"nobody in the gallery has the id {person_id!r}")
    named = store.get(store.people, name_id(head, record.person.name))
    return head, replace(record, name=named)


def by_names(store: Store, head: Head, names: Sequence[str]) -> dict[str, tuple[Record | None, Kept | None]]:
    """For each name who has it, and the document that stands for it."""
    ids = [name_id(head, name) for name in names]
    named = store.get_many([(store.people, id_) for id_ in ids])
    owners = sorted({kept.body["person"] for kept in named if kept is not None and kept.body.get("person")})
    _, people = find_many(store, owners) if owners else (head, {})
    found: dict[str, tuple[Record | None, Kept | None]] = {}
    for name, kept in zip(names, named, strict=True):
        record = people.get(kept.body.get("person", "")) if kept is not None else None
        if record is not None and name_key(record.person.name) != name_key(name):
            record = None
        found[name] = (replace(record, name=kept) if record else None, kept)
    return found


def add(store: Store, change: Change, plan: Plan, facts: Facts, named: Kept | None) -> Person:
    """Plan somebody new; `named` is the document that stands for the name, where there is one."""
    person = Person(new_person_id(), facts.name, 0, datetime.fromisoformat(now()))
    person = _stating(person, facts)
    plan.fresh.append(Action("create", store.people, person.id, as_body(person, change.number)))
    plan.fresh.append(naming(store, change, person, named))
    return person


def naming(store: Store, change: Change, person: Person, named: Kept | None) -> Action:
    """Let a name stand for somebody."""
    body = {"kind": "name", "person": person.id, "change": change.number}
    id_ = name_id(change.head, person.name)
    return Action("create" if named is None else "index", store.people, id_, body, named.seen if named else None)


def restate(store: Store, change: Change, plan: Plan, record: Record, facts: Facts) -> Person:
    """Plan other facts about somebody.

    Raises:
        PersonExists: another person has the new name.
    """
    person = _stating(record.person, facts)
    if name_key(facts.name) != name_key(record.person.name):
        other, named = by_names(store, change.head, [facts.name])[facts.name]
        if other is not None:
            raise PersonExists(
                f"another person is called {other.person.name!r} ({other.person.id})", hint="merge the two instead"
            )
        plan.old.append(naming(store, change, person, named))
    body = {**as_body(person, record.kept.body["change"])}
    plan.old.append(Action("index", store.people, person.id, body, record.kept.seen))
    if name_key(facts.name) != name_key(record.person.name):
        unname(store, plan, record)
    return person


def unname(store: Store, plan: Plan, record: Record) -> None:
    """Plan that a name stands for nobody."""
    if record.name is not None:
        plan.old.append(Action("delete", store.people, record.name.id, None, record.name.seen))


def bury(store: Store, plan: Plan, record: Record, *, into: str | None = None) -> None:
    """Plan that somebody is gone, or was merged `into` another."""
    body = {**GONE, "id": record.person.id, "into": into} if into else GONE
    plan.old.append(Action("index", store.people, record.person.id, body, record.kept.seen))
    unname(store, plan, record)


def with_facts(record: Record) -> Facts:
    """What is stated about somebody at present."""
    return stated(record.person)


def counted(store: Store, head: Head, people: Sequence[Person], faces: str | Pit | None = None) -> list[Person]:
    """People with the number of their faces: those in use, or in another place.

    Raises:
        Overtaken: the index of faces was replaced.
    """
    if not people:
        return []
    answer = store.search(
        faces or head.index,
        query={"bool": {"filter": [{"terms": {"person": [one.id for one in people]}}, visible(head)]}},
        size=0,
        track_total_hits=False,
        aggregations={"faces": {"terms": {"field": "person", "size": len(people)}}},
    )
    counts = {bucket["key"]: bucket["doc_count"] for bucket in answer["aggregations"]["faces"]["buckets"]}
    return [replace(one, faces=counts.get(one.id, 0)) for one in people]


def counted_now(store: Store, person: Person) -> Person:
    """Somebody with the number of their faces now."""
    return store.at_present(lambda head: counted(store, head, [person])[0])


def list_people(store: Store, *, query: str, after: Person | str | None, limit: int) -> list[Person]:
    """See `Gallery.people`."""
    last = by_id(store, after)[1].person if isinstance(after, str) else after

    def read(head: Head) -> list[Person]:
        filters: list[dict[str, Any]] = [{"term": {"kind": {"value": "person"}}}, visible(head)]
        if name_key(query):
            filters.append({"wildcard": {"name_key": {"value": f"*{_literally(name_key(query))}*"}}})
        hits = store.pages(
            store.people,
            {"bool": {"filter": filters}},
            ("name_key", "id"),
            after=[name_key(last.name), last.id] if last else None,
            limit=limit,
        )
        return counted(store, head, [as_person(hit["_source"]) for hit in hits])

    return store.at_present(read)


def visible(head: Head) -> dict[str, Any]:
    """A filter for what counts."""
    return {"range": {"change": {"lte": head.committed}}}


def expect_name_fits(names: Iterable[str]) -> None:
    """Raise for a name that is too long for the index."""
    for name in names:
        size = len(name.encode("utf-8", "surrogatepass"))
        if size > _LONGEST_NAME_BYTES:
            raise InputError(f"the name {name[:40]!r}… is {size:,} bytes long; {_LONGEST_NAME_BYTES:,} are allowed")


def as_person(body: dict[str, Any]) -> Person:
    """A person's document as a person, without a count of faces."""
    held = body["held"]
    consent = held["consent"]
    return Person(
        id=body["id"],
        name=held["name"],
        faces=0,
        created_at=datetime.fromisoformat(held["created_at"]),
        profile=json.loads(held["profile"]),
        consent=consent and Consent(consent["basis"], datetime.fromisoformat(consent["at"]), consent["source"]),
        retain_until=date.fromisoformat(held["retain_until"]) if held["retain_until"] else None,
    )


def as_body(person: Person, change: int) -> dict[str, Any]:
    """A person as their document."""
    consent = person.consent
    held = {
        "name": person.name,
        "created_at": person.created_at.isoformat(),
        "profile": json.dumps(person.profile, allow_nan=False),
        "consent": consent and {"basis": consent.basis, "at": consent.at.isoformat(), "source": consent.source},
        "retain_until": person.retain_until.isoformat() if person.retain_until else None,
    }
    return {"kind": "person", "id": person.id, "name_key": name_key(person.name), "change": change, "held": held}


def _stating(person: Person, facts: Facts) -> Person:
    profile = json.loads(json.dumps(dict(facts.profile), allow_nan=False))  # what is no JSON is refused before any work
    return replace(person, name=facts.name, profile=profile, consent=facts.consent, retain_until=facts.retain_until)


def _literally(text: str) -> str:
    return re.sub(r"([\\*?])", r"\\\1", text)
