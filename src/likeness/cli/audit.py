"""`likeness audit`: who did what to whom, by ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options

if TYPE_CHECKING:
    from likeness.gallery.base import Event, Gallery


SHOWN = 3


@click.command()
@click.option("--after", type=int, default=0, metavar="ID", help="Only events after the one with this number.")
@click.option("--person", metavar="PERSON", help="Only events about this person, a name or an id.")
@common_options
@click.pass_obj
def audit(flags: Flags, after: int, person: str | None) -> None:
    """Show the gallery's audit trail: who did what to whom, when.

    It holds ids, never names. Long lists of ids are shortened here; --json prints them whole.
    """
    with flags.people(with_model=False) as opened:
        gallery = opened.gallery
        wanted = None if person is None else gallery.person(person).id
        for event in _events(gallery, after):
            if wanted is not None and wanted not in (event.person_id, *_ids(event.details)):
                continue
            if flags.output.as_json:
                flags.output.json(_plain(event))
            else:
                facts = ([event.person_id] if event.person_id else []) + list(_facts(event.details))
                flags.output.text(
                    f"{event.id:>6}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  {event.actor}  {event.action:<11}  "
                    f"{'; '.join(facts)}".rstrip()
                )


def _events(gallery: Gallery, after: int) -> Iterator[Event]:
    while page := gallery.events(after=after):
        yield from page
        after = page[-1].id


def _facts(details: Mapping[str, Any]) -> Iterator[str]:
    """The details of an event in words: `faces: 48 of 12 people`, `found: p_…, p_… and 3 more`."""
    for name, value in details.items():
        if isinstance(value, dict):
            total = sum(len(item) if isinstance(item, list) else 1 for item in value.values())
            yield (
                f"{name}: {total} of {len(value)} people"
                if len(value) != 1
                else f"{name}: {total} of {next(iter(value))}"
            )
        elif isinstance(value, list):
            more = f" and {len(value) - SHOWN} more" if len(value) > SHOWN else ""
            yield f"{name}: {', '.join(map(str, value[:SHOWN])) or 'none'}{more}"
        else:
            yield f"{name}: {value}"


def _ids(value: Any) -> Iterator[str]:
    """Every text within the details: ids of people are among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _ids(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _ids(item)


def _plain(event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "at": event.at.isoformat(),
        "actor": event.actor,
        "action": event.action,
        "person_id": event.person_id,
        "details": dict(event.details),
    }
