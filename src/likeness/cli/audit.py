"""`likeness audit`: who did what to whom, by ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.gallery import UNWELL

if TYPE_CHECKING:
    from likeness.gallery.base import Event, Gallery, TrailCheck


SHOWN = 3


@click.group(invoke_without_command=True)
@click.option("--after", type=int, default=0, metavar="ID", help="Only events after the one with this number.")
@click.option("--person", metavar="PERSON", help="Only events about this person, a name or an id.")
@click.option("--actor", metavar="ACTOR", help="Only events of this actor, such as key:ID of an API key.")
@click.option("--verify", "verify_it", is_flag=True, hidden=True, help="As `likeness audit verify`.")
@click.option("--sealed", metavar="SEAL", hidden=True, help="As `likeness audit verify --sealed`.")
@common_options
@click.pass_context
def audit(
    ctx: click.Context, after: int, person: str | None, actor: str | None, verify_it: bool, sealed: str | None
) -> int:
    """Show the gallery's audit trail: who did what to whom, when.

    It holds ids, never names. Long lists of ids are shortened here; --json prints them whole. An actor is cli:ACCOUNT,
    key:ID of an API key (`likeness keys list`), api:local without one, or api, the server itself.
    """
    if ctx.invoked_subcommand is not None:
        return 0
    flags = ctx.ensure_object(Flags)
    with flags.people(with_model=False) as opened:
        gallery = opened.gallery
        if verify_it or sealed is not None:
            return _verified(flags, opened.check_trail(sealed=sealed))
        wanted = None if person is None else gallery.person(person).id
        for event in _events(gallery, after):
            if wanted is not None and wanted not in (event.person_id, *_ids(event.details)):
                continue
            if actor not in (None, event.actor):
                continue
            if flags.output.as_json:
                flags.output.json(_plain(event))
            else:
                facts = ([event.person_id] if event.person_id else []) + list(_facts(event.details))
                flags.output.text(
                    f"{event.id:>6}  {event.at.astimezone():%Y-%m-%d %H:%M:%S}  {event.actor}  {event.action:<11}  "
                    f"{'; '.join(facts)}".rstrip()
                )
    return 0


@audit.command()
@click.option("--sealed", metavar="SEAL", help="Also against a seal that was shown earlier.")
@common_options
@click.pass_obj
def verify(flags: Flags, sealed: str | None) -> int:
    """Say whether the audit trail is whole, and show its seal.

    Each line is sealed by a hash over the line before it, so that a line which was changed, or is missing, shows.
    Whoever may write the gallery can write the whole trail anew: keep the seal that is shown somewhere else, and give
    it as --sealed later. Exit code 7 if the trail is not whole, or not the one that was sealed.
    """
    with flags.people(with_model=False) as opened:
        return _verified(flags, opened.check_trail(sealed=sealed))


def _verified(flags: Flags, checked: TrailCheck) -> int:
    """What came of the check, and the exit code."""
    finding = checked.finding
    if flags.output.as_json:
        flags.output.json({"ok": finding.ok, "message": finding.message, "seal": checked.seal})
    else:
        flags.output.text(f"{'whole' if finding.ok else 'NOT WHOLE'}: {finding.message}")
        flags.output.text(f"seal  {checked.seal}")
    return 0 if finding.ok else UNWELL


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
