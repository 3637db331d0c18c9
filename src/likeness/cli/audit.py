"""`likeness audit`: who did what to whom, by ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options

if TYPE_CHECKING:
    from likeness.gallery.base import Event, Gallery


@click.command()
@click.option("--after", type=int, default=0, metavar="ID", help="Only events after the one with this number.")
@click.option("--person", help="Only events about this person (name or id).")
@common_options
@click.pass_obj
def audit(flags: Flags, after: int, person: str | None) -> None:
    """Show the gallery's audit trail: who did what to whom, when. It holds ids, never names."""
    with flags.people(with_model=False) as opened:
        gallery = opened.gallery
        wanted = None if person is None else gallery.person(person).id
        for event in _events(gallery, after):
            if wanted is not None and wanted not in (event.person_id, *_ids(event.details)):
                continue
            if flags.output.as_json:
                flags.output.json(_plain(event))
            else:
                details = json.dumps(dict(event.details), ensure_ascii=False) if event.details else ""
                flags.output.text(
                    f"{event.id:>6}  {event.at:%Y-%m-%d %H:%M:%S}  {event.actor}  {event.action}  "
                    f"{event.person_id or ''}  {details}".rstrip()
                )


def _events(gallery: Gallery, after: int) -> Iterator[Event]:
    while page := gallery.events(after=after):
        yield from page
        after = page[-1].id


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
