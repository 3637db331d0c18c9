"""What goes from the records: what names somebody who is erased, and what is old."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from likeness.gallery.identity import name_key
from likeness.intake.records.tables import jobs, named, photos, results

_AT_ONCE = 500
"""A statement takes only so many values."""


def forget_person(connection: Connection, person_id: str, name: str) -> int:
    """Erase all results that name a person; how many there were. Their arrivals say `erased`.

    Of photos that came to enrol somebody of that name nothing stays: those that wait are not enrolled any more.
    """
    for each in _called(connection, name):
        connection.execute(sa.delete(photos).where(photos.c.name == each))
    found = connection.execute(sa.select(named.c.content).where(named.c.person == person_id)).scalars()
    contents = list(found)
    _erase(connection, contents)
    return len(contents)


def naming(connection: Connection, person_id: str, name: str) -> int:
    """How many results name a person, and how many photos came to enrol somebody of that name."""
    called = _called(connection, name)
    answers = connection.execute(sa.select(sa.func.count()).where(named.c.person == person_id)).scalar_one()
    return answers + sum(
        connection.execute(sa.select(sa.func.count()).where(photos.c.name == each)).scalar_one() for each in called
    )


def merge_person(connection: Connection, source: tuple[str, str], into: tuple[str, str]) -> None:
    """Let what names `source`, by id and name, count as naming `into` too."""
    (old_id, old_name), (new_id, new_name) = source, into
    both = sa.select(named.c.content).where(named.c.person == new_id)
    old = named.c.person == old_id
    connection.execute(sa.delete(named).where(old & named.c.content.in_(both)))
    connection.execute(sa.update(named).where(old).values(person=new_id))
    rename_person(connection, old_name, new_name)


def rename_person(connection: Connection, before: str, after: str) -> None:
    """Let photos that came to enrol somebody of one name be of the other."""
    for each in _called(connection, before):
        connection.execute(sa.update(photos).where(photos.c.name == each).values(name=after))


def forget_before(connection: Connection, moment: datetime) -> int:
    """Erase what ended before a moment; how many arrivals that were."""
    gone = connection.execute(sa.delete(photos).where(photos.c.ended_at < moment)).rowcount
    kept = sa.select(photos.c.content).where(photos.c.content.is_not(None))
    old = (results.c.answered_at < moment) & results.c.content.not_in(kept)
    _erase(connection, list(connection.execute(sa.select(results.c.content).where(old)).scalars()))
    connection.execute(sa.delete(jobs).where(jobs.c.ended_at < moment))
    return gone


def drop(connection: Connection, contents: Sequence[str]) -> None:
    """Delete results, and whom they name."""
    if not contents:
        return
    for table in (named, results):
        connection.execute(sa.delete(table).where(table.c.content.in_(contents)))


def _erase(connection: Connection, contents: Sequence[str]) -> None:
    for start in range(0, len(contents), _AT_ONCE):
        some = contents[start : start + _AT_ONCE]
        drop(connection, some)
        gone = photos.c.content.in_(some) & (photos.c.state == "done")
        connection.execute(sa.update(photos).where(gone).values(state="erased"))


def _called(connection: Connection, name: str) -> list[str]:
    """A person's name as arrivals have it, in all its spellings."""
    if not name_key(name):
        return []
    rows = connection.execute(sa.select(photos.c.name).where(photos.c.name.is_not(None)).distinct()).scalars()
    return [each for each in rows if name_key(each) == name_key(name)]
