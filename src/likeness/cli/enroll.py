"""`likeness enroll`: photos and videos into the gallery, one outcome each."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from likeness.cli.flags import Flags, common_options, every_option, pick_option, progress_option
from likeness.cli.output import about, counted
from likeness.cli.stopping import stopping

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.service import EnrolOptions, FoundPhoto, Outcome, People

F = TypeVar("F", bound=Callable[..., Any])

PARTLY = 3
INTERRUPTED = 130
REFUSALS_SHOWN = 20


def look_options(command: F) -> F:
    """Give a command the options by which a photo's face is chosen and judged."""
    for option in (
        click.option("--again", is_flag=True, help="Look again at photos that were refused or enrolled before."),
        click.option(
            "--gate/--no-gate", default=True, help="Refuse faces of poor quality (default), or take them all."
        ),
        click.option("--largest", is_flag=True, help="Short for --pick largest."),
        pick_option("only"),
    ):
        command = option(command)
    return command


def record_options(command: F) -> F:
    """Give a command the options of what is stored with each person, and of what is told meanwhile."""
    for option in (
        progress_option,
        click.option("--verbose", "-v", is_flag=True, help="A line for every photo, not only for those refused."),
        click.option(
            "--retain-until",
            type=click.DateTime(["%Y-%m-%d"]),
            metavar="YYYY-MM-DD",
            help="Keep no longer than this day.",
        ),
        click.option("--consent", metavar="TEXT", help="Why this data may be kept; stored with each person."),
    ):
        command = option(command)
    return command


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--name", help="Whose photos these are; without it folder or file names say so.")
@look_options
@every_option
@click.option(
    "--keep",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Of a video, keep so many pictures at most.",
)
@record_options
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
    every_s: float,
    keep: int,
    consent: str | None,
    retain_until: datetime | None,
    verbose: bool,
) -> int:
    """Put the people of photos and videos into the gallery.

    PATH is a photo or video, a folder with a folder for each person (Anna_Lee/…), or a folder of photos named after
    people (Anna_Lee_0001.jpg). The first folder below PATH names the person: Anna_Lee/2023/x.jpg is Anna Lee's, and of
    train/Anna_Lee/x.jpg PATH is train. A file profile.json (a JSON object) in a person's folder is taken into their
    profile.

    Of a video's first 30 seconds the good frames of one person become one enrolled face, with the best and most varied
    of them as its pictures; --pick says who is meant where it shows several people.

    Photos and videos enrolled or refused before are skipped: run the same command again to go on where it was stopped.
    """
    from likeness.service import find_photos

    options = replace(enrol_options(pick, largest, gate, again, consent, retain_until), every_s=every_s, keep=keep)
    photos = list(find_photos(paths, name=name, named=True))

    def begin(people: People, stop: Callable[[], bool], on_frame: Callable[[], None]) -> Iterable[Outcome]:
        return people.enroll(photos, options, stop=stop, on_frame=on_frame)

    return take(flags, begin, len(photos), verbose=verbose, frames=_expected(photos, every_s))


def _expected(photos: Iterable[FoundPhoto], every_s: float) -> int:
    """About how many frames of videos there are to look at."""
    from likeness.data.photofiles import is_photo
    from likeness.service.clips import LONGEST_S
    from likeness.vision.video import expected_frames, is_video

    videos = [photo.path for photo in photos if photo.error is None and not is_photo(Path(photo.path).name)]
    return sum(expected_frames(path, every_s, LONGEST_S) or 0 for path in videos if is_video(path))


def take(
    flags: Flags,
    begin: Callable[[People, Callable[[], bool], Callable[[], None]], Iterable[Outcome]],
    total: int,
    *,
    verbose: bool,
    things: tuple[str, str] = ("photo", "photos"),
    frames: int = 0,
) -> int:
    """Show what becomes of `total` things that are put into the gallery, and sum it up; the command's exit code.

    `begin` is given the gallery, what tells whether to stop, and what to call for each frame of a video, of which
    there are about `frames`; it gives an outcome for each thing.
    """
    tally, looked = Tally(), count()
    with (
        flags.people(create=True, many=True) as people,
        flags.output.progress("enrolling") as progress,
        stopping() as stop,
    ):

        def on_frame() -> None:
            progress(min(tally.photos + next(looked) + 1, total + frames), total + frames)

        for outcome in begin(people, stop, on_frame):
            tally.add(outcome)
            _show(flags.output, outcome, verbose=verbose, shown=tally.refused)
            if not frames or tally.photos == total:
                progress(tally.photos + frames, total + frames)
    stopped = tally.photos < total
    _summarise(flags.output, tally, total, stopped=stopped, things=things)
    if stopped:
        return INTERRUPTED
    return PARTLY if tally.refused else 0


class Tally:
    """Counts of one run."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self.codes: Counter[str] = Counter()
        self.hints: dict[str, str] = {}
        self.people: set[str] = set()
        self.chosen = 0
        self._start = time.monotonic()

    def add(self, outcome: Outcome) -> None:
        """Count one photo."""
        self.statuses[outcome.status] += 1
        if outcome.error is not None:
            self.codes[outcome.error["code"]] += 1
            if hint := outcome.error.get("hint"):
                self.hints.setdefault(outcome.error["code"], hint)
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


def enrol_options(
    pick: Any, largest: bool, gate: bool, again: bool, consent: str | None, retain_until: datetime | None
) -> EnrolOptions:
    """What the options of a command that enrols photos say."""
    from likeness.service import EnrolOptions

    return EnrolOptions(
        pick=picked(pick, largest=largest),
        gate=gate,
        again=again,
        consent=stated_consent(consent),
        retain_until=future(retain_until),
    )


def picked(pick: Any, *, largest: bool) -> Any:
    """What `--pick` and `--largest` say together."""
    if not largest:
        return pick
    stated = click.get_current_context().get_parameter_source("pick") is ParameterSource.COMMANDLINE
    if stated and pick != "largest":
        raise click.UsageError(f"--largest and --pick {pick} contradict each other")
    return "largest"


def stated_consent(basis: str | None) -> Any:
    """What `--consent` states, as of now."""
    from likeness.types import Consent

    return None if basis is None else Consent(basis, datetime.now(UTC), "likeness enroll --consent")


def future(day: datetime | None) -> date | None:
    """The day of `--retain-until`, which must not have passed."""
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
    if outcome.clip is not None:
        output.text(f"{outcome.path}: {clip_words(outcome.clip)}")
    if outcome.error is not None:
        if verbose or shown <= REFUSALS_SHOWN:
            output.text(f"refused    {about(outcome.path, outcome.error['message'])}")
        elif shown == REFUSALS_SHOWN + 1:
            output.text("refused    … further ones are counted below; --verbose lists them all")
    elif verbose:
        note = f" ({outcome.note})" if outcome.note else ""
        output.text(f"{outcome.status:<10} {outcome.path}: {outcome.name}{note}")


def clip_words(clip: Mapping[str, Any]) -> str:
    """`60 frames: 8 kept, 40 more good ones, 12 refused (9 blurred, 3 no face)`."""
    reasons = ", ".join(f"{number} {code.replace('_', ' ')}" for code, number in clip["refused"].items())
    refused = sum(clip["refused"].values())
    parts = [f"{clip['kept']} kept", f"{clip['spare']} more good ones"] if clip["kept"] else []
    parts.append(f"{refused} refused ({reasons})" if refused else "none refused")
    cut = f"; what comes after {clip['read_s']:.0f} s was not looked at" if "read_s" in clip else ""
    return f"{counted(clip['frames'], 'frame', 'frames')}: {', '.join(parts)}{cut}"


def _summarise(output: Output, tally: Tally, total: int, *, stopped: bool, things: tuple[str, str]) -> None:
    statuses, seconds = tally.statuses, tally.seconds
    if output.as_json:
        summary = {
            things[1]: tally.photos,
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
        f"{whose}{counted(tally.photos, *things)} in {seconds:.1f} s ({rate:.1f} a second)"
    )
    if tally.chosen:
        output.text(
            f"of several faces one was chosen on {counted(tally.chosen, 'photo', 'photos')}; --verbose names them"
        )
    if tally.codes:
        output.text("refused: " + ", ".join(f"{count} {code}" for code, count in tally.codes.most_common()))
    for hint in dict.fromkeys(tally.hints.values()):
        output.say(f"hint: {hint}")
    if stopped:
        output.warn(
            f"stopped after {tally.photos} of {total} {things[1]}; run the same command again to go on from there"
        )
