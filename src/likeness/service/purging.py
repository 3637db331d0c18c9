"""Retention: people whose day has passed are erased, with all that is kept of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from likeness.errors import InputError, LikenessError, PersonNotFound
from likeness.service.roster import Forgotten, Roster
from likeness.types import Person


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of somebody whose day has passed: erased, or why not (or not everywhere); neither in a dry run."""

    person: Person
    forgotten: Forgotten | None = None
    error: LikenessError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON, without the name."""
        until = self.person.retain_until
        data: dict[str, Any] = {"person_id": self.person.id, "retain_until": until and until.isoformat()}
        data["outcome"] = "erased" if self.forgotten else "failed" if self.error else "due"
        if self.forgotten is not None:
            data |= self.forgotten.as_dict()
        if self.error is not None:
            data["error"] = self.error.as_dict()
        return data


def today() -> date:
    """The day by this machine's clock and time zone."""
    return datetime.now().astimezone().date()


def due(people: Roster, as_of: date | None = None) -> list[Person]:
    """Those whose retention date lies before a day (today unless said), the longest overdue first."""
    day = as_of or today()
    return sorted(people.expired(day), key=lambda person: (person.retain_until or day, person.id))


def purge(people: Roster, as_of: date | None = None, *, stop: Callable[[], bool] = lambda: False) -> Iterator[Fate]:
    """Erase all who are due, one after another; one who cannot be erased keeps nobody else. One audit line at the end.

    A run that is stopped or killed has erased those before; the next one erases the others.

    Raises:
        InputError: the day is yet to come: nobody is erased before theirs.
    """
    day = as_of or today()
    if day > today():
        raise InputError(f"{day} is yet to come, and nobody is erased before their day", hint="look with a dry run")
    chosen = due(people, day)
    erased = failed = 0
    try:
        for person in chosen:
            if stop():
                return
            try:
                until = people.gallery.person(person.id).retain_until
                if until is None or until >= day:
                    continue  # their day was put off while others were erased
                fate = Fate(person, people.forget(person.id))
                erased += 1
            except PersonNotFound:
                continue  # somebody else was faster
            except LikenessError as error:
                fate = Fate(person, error=error)
                failed += 1
            yield fate
    finally:
        people.note("purge", as_of=day.isoformat(), due=len(chosen), erased=erased, failed=failed)
