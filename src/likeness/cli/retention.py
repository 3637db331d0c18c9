"""`likeness people purge` and `consent`: how long people are kept, and why they may be."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted
from likeness.cli.stopping import stopping
from likeness.intake.erasure import Written

if TYPE_CHECKING:
    from likeness.service.purging import Fate

UNWELL = 7
DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show who is due.")
@click.option("--as-of", type=DAY, metavar="DATE", help="Those due on that day; today unless said.")
@progress_option
@common_options
@click.pass_obj
def purge(flags: Flags, dry_run: bool, as_of: datetime | None) -> int:
    """Erase everybody whose retention date has passed.

    As `people forget` does: from the record, the index, the snapshots, the storage of pictures and the answers of
    workers. It does not ask, so that it can be run every day; what it prints holds ids, no names. One who cannot be
    erased everywhere keeps nobody else, and the exit code is 7 then. A run that was stopped goes on where it was. With
    --as-of only a dry run may look ahead.
    """
    from likeness.service import purging

    day = None if as_of is None else as_of.date()
    with flags.people(with_model=False) as opened:
        opened.elsewhere = Written(flags.settings)
        due = purging.due(opened, day)
        if dry_run:
            _show_due(flags, [purging.Fate(person) for person in due])
            return 0
        failed = done = 0
        with flags.output.progress("erasing") as progress, stopping() as stopped:
            for fate in purging.purge(opened, day, stop=stopped):
                done, failed = done + 1, failed + (fate.error is not None)
                _show(flags, fate)
                progress(done, max(done, len(due)))
    if not flags.output.as_json:
        left = f", {failed} not everywhere" if failed else ""
        flags.output.text(f"{counted(done - failed, 'person', 'people')} erased{left}")
    return UNWELL if failed else 0


def _show(flags: Flags, fate: Fate) -> None:
    if flags.output.as_json:
        flags.output.json(fate.as_dict())
        return
    whom = f"{fate.person.id} (kept until {fate.person.retain_until})"
    if fate.forgotten is not None:
        flags.output.text(f"erased: {whom}, {counted(fate.forgotten.faces, 'face', 'faces')}")
        for path in fate.forgotten.snapshots_not_found:
            flags.output.text(f"  not found: {path}; if it was moved and not deleted, it still holds them")
    elif fate.error is not None:
        flags.output.text(f"NOT EVERYWHERE: {whom}: {fate.error}")


def _show_due(flags: Flags, due: list[Fate]) -> None:
    if flags.output.as_json:
        for fate in due:
            flags.output.json(fate.as_dict())
        return
    if not due:
        flags.output.say("nobody is due")
        return
    rows = [(fate.person.id, fate.person.name, fate.person.faces, fate.person.retain_until) for fate in due]
    flags.output.table(("id", "name", "faces", "keep until"), rows)
    flags.output.say(f"{counted(len(due), 'person', 'people')} would be erased")


@click.command()
@click.argument("person")
@click.option("--basis", metavar="TEXT", help="Why the data may be kept, in words.")
@click.option("--source", metavar="TEXT", default="likeness people consent", help="Through what that was said.")
@click.option("--retain-until", type=DAY, metavar="DATE", help="The day after which the person must be erased.")
@click.option("--withdraw", is_flag=True, help="It was taken back: the next purge erases the person.")
@common_options
@click.pass_obj
def consent(
    flags: Flags, person: str, basis: str | None, source: str, retain_until: datetime | None, withdraw: bool
) -> None:
    """Record a person's consent, or that they took it back.

    --withdraw lets the person's retention end yesterday; `likeness people purge` erases them then. To erase them at
    once: `likeness people forget`.
    """
    from likeness.service.consent import state_consent, withdraw_consent

    if withdraw == (basis is not None) or (withdraw and retain_until is not None):
        raise click.UsageError("say --basis TEXT (and --retain-until), or --withdraw")
    with flags.people(with_model=False) as opened:
        if basis is None:
            changed = withdraw_consent(opened, person)
        else:
            changed = state_consent(opened, person, basis, source, retain_until and retain_until.date())
    if flags.output.as_json:
        flags.output.json(changed.as_dict())
    elif basis is None:
        flags.output.text(f"consent of {changed.name} ({changed.id}) is withdrawn; `likeness people purge` erases them")
    else:
        until = f", until {changed.retain_until}" if changed.retain_until else ""
        flags.output.text(f"consent of {changed.name} ({changed.id}) is recorded{until}")


COMMANDS = (purge, consent)
