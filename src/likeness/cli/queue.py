"""`likeness queue`: how much is waiting, what went wrong, and what to do with that."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted
from likeness.errors import InputError, NotFound
from likeness.intake import STEPS

if TYPE_CHECKING:
    from likeness.intake.queues import Queue

_SHOWN = 100  # letters of a message in a table
STEP = click.Choice(STEPS)  # a slip of the pen would make a queue of its own, on SQS for good


@click.group()
@common_options
def queue() -> None:
    """Show what waits in the queues of arrivals, and look after dead letters.

    The setting `queue` says where they are. Each step of the pipeline has a queue of its name; `likeness queue depth`
    lists them. A message that could not be dealt with, after several attempts or for good, is a dead letter; it is
    kept with its reason until it is revived or dropped.
    """


@queue.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, type=STEP)
@common_options
@click.pass_obj
def depth(flags: Flags, names: Sequence[str]) -> None:
    """Count what is ready, waiting, leased and dead in each queue.

    Ready is what a worker may take now; waiting, what comes later, such as the next attempt of what failed; leased,
    what workers are at. SQS counts roughly, and what waits for its next attempt as leased.
    """
    rows = []
    for name in names or STEPS:
        with _opened(flags, name) as opened:
            found = opened.depth()
        if flags.output.as_json:
            counts = {"ready": found.ready, "waiting": found.waiting, "leased": found.leased, "dead": found.dead}
            flags.output.json({"queue": name} | counts)
        rows.append((name, found.ready, found.waiting, found.leased, found.dead))
    if not flags.output.as_json:
        flags.output.table(("queue", "ready", "waiting", "leased", "dead"), rows)


@queue.command()
@click.argument("names", metavar="[NAME]...", nargs=-1, type=STEP)
@click.option("--most", type=click.IntRange(1), default=100, show_default=True, help="Of each queue, the newest.")
@common_options
@click.pass_obj
def dead(flags: Flags, names: Sequence[str], most: int) -> None:
    """List dead letters with their reasons, the newest first."""
    rows = []
    for name in names or STEPS:
        with _opened(flags, name) as opened:
            letters = opened.dead(most)
        for letter in letters:
            body = dict(letter.body)
            if flags.output.as_json:
                facts = {"id": letter.id, "attempts": letter.attempts, "reason": letter.reason}
                flags.output.json({"queue": name} | facts | {"died_at": letter.died_at.isoformat(), "body": body})
            said = _said(name, body)
            said = said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"
            died = f"{letter.died_at.astimezone():%Y-%m-%d %H:%M:%S}"
            rows.append((name, letter.id, died, letter.attempts, letter.reason, said))
    if flags.output.as_json:
        return
    if not rows:
        flags.output.say("there are no dead letters")
        return
    flags.output.table(("queue", "id", "died", "attempts", "reason", "message"), rows)


@queue.command()
@click.argument("name", metavar="NAME", type=STEP)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters of the queue.")
@common_options
@click.pass_obj
def revive(flags: Flags, name: str, ids: Sequence[str], everything: bool) -> None:
    """Deliver dead letters again, as if they were new.

    NAME is the queue; `likeness queue dead NAME` shows the ids.
    """
    wanted = _wanted(ids, everything)
    with _opened(flags, name) as opened:
        count = opened.revive(wanted)
    _report(flags, name, "revived", count, wanted)


@queue.command()
@click.argument("name", metavar="NAME", type=STEP)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All dead letters of the queue.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def drop(flags: Flags, name: str, ids: Sequence[str], everything: bool, yes: bool) -> None:
    """Forget dead letters, for good.

    NAME is the queue; `likeness queue dead NAME` shows the ids. What they tell of, such as a photo, stays where it is.
    """
    wanted = _wanted(ids, everything)
    with _opened(flags, name) as opened:
        if everything and not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("dropping cannot be undone: say --yes where nobody can be asked")
            click.confirm(f"Drop all {opened.depth().dead} dead letters of {name}, for good?", abort=True, err=True)
        count = opened.drop(wanted)
    _report(flags, name, "dropped", count, wanted)


def _said(name: str, body: Mapping[str, Any]) -> str:
    """A message for people: what it tells of, where that is longer to say as it came, as in events of S3."""
    from likeness.intake.events import arrivals

    if name == "detect":
        with suppress(InputError):  # then it died of being no event, and is shown as it is
            told = [str(arrival["uri"]) for arrival in arrivals(body)]
            if told and "uri" not in body:
                return ", ".join(told)
    return json.dumps(body, ensure_ascii=False)


def _opened(flags: Flags, name: str) -> Queue:
    from likeness.intake.queues import open_queue

    return open_queue(flags.settings.queue, name)


def _wanted(ids: Sequence[str], everything: bool) -> list[str] | None:
    if everything == bool(ids):
        raise click.UsageError("name the ids of dead letters, or --all")
    return None if everything else list(dict.fromkeys(ids))


def _report(flags: Flags, name: str, what: str, count: int, wanted: list[str] | None) -> None:
    if flags.output.as_json:
        flags.output.json({"queue": name, what: count})
    else:
        flags.output.text(f"{counted(count, 'dead letter', 'dead letters')} of {name} {what}")
    if wanted is not None and count < len(wanted):
        raise NotFound(
            f"{len(wanted) - count} of {counted(len(wanted), 'id', 'ids')} {'is' if len(wanted) == 1 else 'are'} "
            f"no dead letter of {name}",
            hint=f"`likeness queue dead {name}` lists them",
        )
