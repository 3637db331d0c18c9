"""Erasing what workers answered about people who are erased."""

from __future__ import annotations

from pathlib import Path

from likeness.settings import Settings


def erase_answers(settings: Settings, person_id: str) -> int:
    """Erase the answers of workers that name a person, where there are any; how many there were.

    Raises:
        RecordsUnavailable, ExtraMissing, SettingsError: there may be some, and they cannot be reached.
    """
    if "://" not in settings.records and not Path(settings.records).expanduser().exists():
        return 0
    from likeness.intake.records import open_records  # a gallery without workers needs no database of theirs

    with open_records(settings.records) as records:
        return records.forget_person(person_id)
