"""Why people are kept: recorded, taken back, and, where the settings want it, asked for before anybody is enrolled."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from likeness.errors import ConsentMissing, InputError, PersonNotFound
from likeness.gallery import Gallery
from likeness.service.purging import today
from likeness.service.roster import Roster
from likeness.types import Consent, Person


def state_consent(
    people: Roster, name_or_id: str, basis: str, source: str = "", retain_until: date | None = None
) -> Person:
    """Record why a person may be kept, as of now; and until when, where that is said.

    Raises:
        PersonNotFound: nobody has that id or name.
        InputError: no reason is given, or the day has passed.
    """
    if not basis.strip():
        raise InputError("the basis of the consent is empty", hint="say in words why the data may be kept")
    if retain_until is not None and retain_until < today():
        raise InputError(f"{retain_until} has passed already")
    changes: dict[str, Any] = {"consent": Consent(basis.strip(), datetime.now(UTC), source)}
    if retain_until is not None:
        changes["retain_until"] = retain_until
    person = people.gallery.update(people.gallery.person(name_or_id).id, **changes)
    people.note("consent", person_id=person.id, retain_until=retain_until and retain_until.isoformat())
    return person


def withdraw_consent(people: Roster, name_or_id: str) -> Person:
    """Record that a person took their consent back: none is left, and their retention ended yesterday.

    Raises:
        PersonNotFound: nobody has that id or name.
    """
    person_id = people.gallery.person(name_or_id).id
    person = people.gallery.update(person_id, consent=None, retain_until=today() - timedelta(days=1))
    people.note("withdraw-consent", person_id=person.id)
    return person


def expect_consent(gallery: Gallery, name: str) -> None:
    """Raise unless somebody of that name has a consent on record.

    Raises:
        ConsentMissing: there is none, and with the photos none is stated.
    """
    try:
        if gallery.person(name).consent is not None:
            return
    except PersonNotFound:
        pass
    raise ConsentMissing(
        "no consent is stated, and the setting require_consent wants one",
        hint="state why the data may be kept: --consent TEXT, or the field `consent`",
    )
