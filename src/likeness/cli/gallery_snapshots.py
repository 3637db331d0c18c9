"""`likeness gallery snapshots`: the copies that forgetting has to reach."""

from __future__ import annotations

import click

from likeness.cli.flags import Flags, common_options


@click.command(short_help="List the copies that forgetting reaches, or drop one that is gone.")
@click.option("--drop", metavar="PATH", help="Look for this one no more: it is gone.")
@common_options
@click.pass_obj
def snapshots(flags: Flags, drop: str | None) -> None:
    """List the copies of the gallery that are remembered, so that forgetting a person reaches them.

    A copy that was deleted is noticed where it was made. One that is gone with its machine is waited for:
    `gallery check` says so until it is dropped here. Dropping deletes no file: a copy holds whom it held.
    """
    with flags.people(with_model=False) as opened:
        if drop is not None:
            opened.drop_snapshot(drop)
        kept = opened.snapshots()
    if flags.output.as_json:
        flags.output.json({"snapshots": [each._asdict() for each in kept]})
        return
    if drop is not None:
        flags.output.say(f"no longer looked for: {drop}")
    rows = [(each.host or "here", each.path, each.created_at) for each in kept]
    if rows:
        flags.output.table(("machine", "file", "made"), rows)
    else:
        flags.output.text("no copy is remembered")
