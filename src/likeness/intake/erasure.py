"""What workers wrote down about people, which must go when they do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from likeness.service.elsewhere import Elsewhere
from likeness.settings import Settings
from likeness.types import Person

if TYPE_CHECKING:  # a gallery without workers needs no database of theirs
    from likeness.intake.records import Records


@dataclass(frozen=True, slots=True)
class Written(Elsewhere):
    """The records of the settings, where there are any.

    Each call raises `RecordsUnavailable`, `ExtraMissing` or `SettingsError` where there may be some that cannot be
    reached.
    """

    settings: Settings

    def erase(self, person: Person) -> None:
        """Erase the answers that name a person, and which photos came to enrol them."""
        with self._records() as records:
            if records is not None:
                records.forget_person(person.id, person.name)

    def left(self, person: Person) -> int:
        """See `Elsewhere`."""
        with self._records() as records:
            return 0 if records is None else records.naming(person.id, person.name)

    def rename(self, before: Person, after: Person) -> None:
        """See `Elsewhere`."""
        with self._records() as records:
            if records is not None:
                records.rename_person(before.name, after.name)

    def merge(self, source: Person, into: Person) -> None:
        """See `Elsewhere`."""
        with self._records() as records:
            if records is not None:
                records.merge_person((source.id, source.name), (into.id, into.name))

    @contextmanager
    def _records(self) -> Iterator[Records | None]:
        uri = self.settings.records
        if "://" not in uri and not Path(uri).expanduser().exists():
            yield None
            return
        from likeness.intake.records import open_records

        with open_records(uri) as records:
            yield records
