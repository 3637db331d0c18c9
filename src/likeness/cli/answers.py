"""`likeness answers`: what became of photos that arrived by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.stopping import stopping
from likeness.errors import ExtraMissing

if TYPE_CHECKING:
    from likeness.intake.records import Arrival, Records

EVERY_S = 1.0
_PAGE = 100


@click.command()
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help="How many, the latest ones.")
@click.option("--follow", "-f", is_flag=True, help="Go on with those that come, until Ctrl-C.")
@common_options
@click.pass_obj
def answers(flags: Flags, most: int, follow: bool) -> None:
    """List the answers about photos of `likeness watch` and of buckets' events.

    The oldest comes first. With --json each is a line with all that is known of each face, where the photo lies and
    whom it was enrolled as. Photos of the API's jobs are asked for by their job.
    """
    try:
        from likeness.intake.records import open_records
    except ImportError as error:
        raise ExtraMissing(f"answers need {error.name}", hint="pip install 'likeness[worker]'") from error
    with open_records(flags.settings.records) as records:
        found = records.ended(most=most)
        _show(flags, records, found)
        if not follow:
            if not found:
                flags.output.say("no photo has been answered yet; `likeness queue depth` shows what waits")
            return
        with stopping() as stop:
            _follow(flags, records, found[-1:], stop)


def _follow(flags: Flags, records: Records, last: Sequence[Arrival], stop: Callable[[], bool]) -> None:
    while not stop():
        if last and last[-1].ended_at is not None:
            found = records.ended(after=(last[-1].ended_at, last[-1].id), most=_PAGE)
        else:
            found = records.ended(most=_PAGE)
        _show(flags, records, found)
        last = found[-1:] or last
        if len(found) < _PAGE:
            time.sleep(EVERY_S)


def _show(flags: Flags, records: Records, found: Sequence[Arrival]) -> None:
    from likeness.intake.answers import arrival_dict

    for arrival, facts in zip(found, arrival_dict(records, found), strict=True):
        if flags.output.as_json:
            flags.output.json(facts)
            continue
        ended = "" if arrival.ended_at is None else f"{arrival.ended_at.astimezone():%Y-%m-%d %H:%M:%S}"
        flags.output.text(f"{ended}  {_name_of(arrival.uri)}: {_said(facts)}")


def _name_of(uri: str) -> str:
    return PurePosixPath(unquote(urlsplit(uri).path)).name or uri


def _said(facts: Mapping[str, Any]) -> str:
    """What became of one photo, in a line."""
    if "error" in facts:
        return f"no answer: {facts['error']['message']}"
    if "enrolled" in facts:
        return f"{facts['enrolled']['code']} as {facts['name']}"
    if facts["state"] == "erased":
        return "erased, with somebody whom it named"
    faces = facts.get("answers", ())
    return ", ".join(_face(each) for each in faces) or "no face"


def _face(answer: Mapping[str, Any]) -> str:
    person = answer.get("person")
    return (
        answer["decision"]
        if person is None
        else f"{person['name']} ({answer['decision']}, {answer['probability']:.0%})"
    )
