"""What is stated about a person and may change, whichever engine keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from likeness.gallery.base import NewFace
from likeness.gallery.identity import clean_name, name_key
from likeness.types import Consent, Person


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stated about a person and may change."""

    name: str
    profile: Mapping[str, Any] = field(default_factory=dict)
    consent: Consent | None = None
    retain_until: date | None = None


def now() -> str:
    """The present time, as it is stored."""
    return datetime.now(UTC).isoformat()


def stated(person: Person) -> Facts:
    """What is stated about a person at present."""
    return Facts(person.name, person.profile, person.consent, person.retain_until)


def with_changes(facts: Facts, changes: Mapping[str, Any]) -> Facts:
    """`facts` with some fields replaced; a name is cleaned, a profile copied, or asked of a function of the old one.

    A consent that is stated anew without a day ends a day that has passed: whoever took theirs back and gives it again
    is not due.
    """
    cleaned = dict(changes)
    over = facts.retain_until is not None and facts.retain_until < datetime.now().astimezone().date()
    if over and cleaned.get("consent") is not None and "retain_until" not in cleaned:
        cleaned["retain_until"] = None
    if "name" in cleaned:
        cleaned["name"] = clean_name(cleaned["name"])
    if "profile" in cleaned:
        given = cleaned["profile"]
        cleaned["profile"] = dict((given(facts.profile) if callable(given) else given) or {})
    return replace(facts, **cleaned)


def stated_by(faces: Sequence[NewFace]) -> dict[str, tuple[str, dict[str, Any]]]:
    """What new faces state about their people, later ones over earlier: name key → (name, changes of `Facts`)."""
    found: dict[str, tuple[str, dict[str, Any]]] = {}
    for face in faces:
        _, changes = found.setdefault(name_key(face.name), (clean_name(face.name), {}))
        changes.update({"consent": face.consent} if face.consent else {})
        changes.update({"retain_until": face.retain_until} if face.retain_until else {})
    return found
