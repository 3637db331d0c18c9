"""`likeness enroll`: photos into the gallery, one outcome a photo."""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from types import FrameType
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from likeness.cli.flags import Flags, common_options, pick_option, progress_option
from likeness.cli.output import about, counted

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.service import Outcome

PARTLY = 3
INTERRUPTED = 130
REFUSALS_SHOWN = 20


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--name", help="Whose photos these are; without it folder or file names say so.")
@pick_option("only")
@click.option("--largest", is_flag=True, help="Short for --pick largest.")
@click.option("--gate/--no-gate", default=True, help="Refuse faces of poor quality (default), or take them all.")
@click.option("--again", is_flag=True, help="Look again at photos that were refused or enrolled before.")
@click.option("--consent", metavar="TEXT", help="Why this data may be kept; stored with each person.")
@click.option(
    "--retain-until", type=click.DateTime(["%Y-%m-%d"]), metavar="YYYY-MM-DD", help="Keep no longer than this day."
)
@click.option("--verbose", "-v", is_flag=True, help="A line for every photo, not only for those refused.")
@progress_option
@common_options
@click.pass_obj
def enroll(
    flags: Flags,
    paths: tuple[str, ...],
    name: str | None,
    pick: Any,
    largest: bool,
    gate: bool,
    again: bool,
    consent: str | None,
    retain_until: datetime | None,
    verbose: bool,
) -> int:
    """Put the people of photos into the gallery.

    PATH is a photo, a folder with a folder for each person (Anna_Lee/…), or a folder of photos named after people
    (Anna_Lee_0001.jpg). The first folder below PATH names the person: Anna_Lee/2023/x.jpg is Anna Lee's, and of
    train/Anna_Lee/x.jpg PATH is train. A file profile.json (a JSON object) in a person's folder is taken into their
    profile.

    Photos enrolled or refused before are skipped: run the same command again to go on where it was stopped.
    """
    from likeness.service import EnrolOptions, find_photos

    options = EnrolOptions(
        pick=_picked(pick, largest=largest),
        gate=gate,
        again=again,
        consent=_consent(consent),
        retain_until=_future(retain_until),
    )
    photos = list(find_photos(paths, name=name, named=True))
    tally = Tally()
    with (
        flags.people(create=True, many=True) as people,
        flags.output.progress("enrolling") as progress,
        stopping() as stop,
    ):
        for outcome in people.enroll(photos, options, stop=stop):
            tally.add(outcome)
            _show(flags.output, outcome, verbose=verbose, shown=tally.refused)
            progress(tally.photos, len(photos))
    stopped = tally.photos < len(photos)
    _summarise(flags.output, tally, len(photos), stopped=stopped)
    if stopped:
        return INTERRUPTED
    return PARTLY if tally.refused else 0


class Tally:
    """Counts of one run."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.people: set[str] = set()
        self.chosen = 0
        self._start = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count one photo."""
        self.statuses[outcome.status] += 1
        if outcome.error is not None:
            self.codes[outcome.error["code"]] += 1
        self.chosen += bool(outcome.note)
        if outcome.person_id is not None:
            self.people.add(outcome.person_id)

    @property
    def photos(self) -> int:
        """How many photos have their outcome."""
        return self.statuses.total()

    @property
    def refused(self) -> int:
        """How many of them were refused."""
        return self.statuses["refused"]

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self._start


@contextmanager
def stopping() -> Iterator[Any]:
    """Ctrl-C asks to stop after the batch in hand; a second one stops at once."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


def _picked(pick: Any, *, largest: bool) -> Any:
    if not largest:
        return pick
    stated = click.get_current_context().get_parameter_source("pick") is ParameterSource.COMMANDLINE
    if stated and pick != "largest":
        raise click.UsageError(f"--largest and --pick {pick} contradict each other")
    return "largest"


def _consent(basis: str | None) -> Any:
    from likeness.types import Consent

    return None if basis is None else Consent(basis, datetime.now(UTC), "likeness enroll --consent")


def _future(day: datetime | None) -> date | None:
    if day is None:
        return None
    if day.date() < datetime.now().astimezone().date():
        raise click.BadParameter(f"{day.date()} has passed already", param_hint="--retain-until")
    return day.date()


def _show(output: Output, outcome: Outcome, *, verbose: bool, shown: int) -> None:
    if output.as_json:
        output.json(outcome.as_dict())
        return
    for warning in outcome.warnings:
        output.warn(f"warning: {warning}")
    if outcome.error is not None:
        if verbose or shown <= REFUSALS_SHOWN:
            output.text(f"refused    {about(outcome.path, outcome.error['message'])}")
        elif shown == REFUSALS_SHOWN + 1:
            output.text("refused    … further ones are counted below; --verbose lists them all")
    elif verbose:
        note = f" ({outcome.note})" if outcome.note else ""
        output.text(f"{outcome.status:<10} {outcome.path}: {outcome.name}{note}")


def _summarise(output: Output, tally: Tally, total: int, *, stopped: bool) -> None:
    statuses, seconds = tally.statuses, tally.seconds
    if output.as_json:
        summary = {
            "photos": tally.photos,
            "of": total,
            **{status: statuses[status] for status in ("added", "duplicate", "refused")},
            "refusals": dict(sorted(tally.codes.items())),
            "one_of_several_faces": tally.chosen,
            "people": len(tally.people),
            "seconds": round(seconds, 3),
            "stopped": stopped,
        }
        output.json({"summary": summary})
        return
    rate = tally.photos / max(seconds, 1e-9)
    whose = f"{counted(len(tally.people), 'person', 'people')}; " if tally.people else ""
    output.text(
        f"{statuses['added']} added, {statuses['duplicate']} enrolled before, {tally.refused} refused; "
        f"{whose}{counted(tally.photos, 'photo', 'photos')} in {seconds:.1f} s ({rate:.1f} a second)"
    )
    if tally.chosen:
        output.text(
            f"of several faces one was chosen on {counted(tally.chosen, 'photo', 'photos')}; --verbose names them"
        )
    if tally.codes:
        output.text("refused: " + ", ".join(f"{count} {code}" for code, count in tally.codes.most_common()))
    if stopped:
        output.warn(f"stopped after {tally.photos} of {total} photos; run the same command again to go on from there")
