"""`likeness identify`: who is on photos, and how sure that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from likeness.cli.apparent import apparent_line
from likeness.cli.flags import Flags, attributes_option, common_options, progress_option, threshold_options
from likeness.cli.output import bounded, chance

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.service.people import Identified, People
    from likeness.types import Answer

PARTLY = 3


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--embeddings", is_flag=True, help="With --json: the faces' embeddings too.")
@attributes_option
@threshold_options
@progress_option
@common_options
@click.pass_obj
def identify(flags: Flags, paths: tuple[str, ...], embeddings: bool) -> int:
    """Say who is on photos, and how sure that is.

    PATH is a photo or a folder of photos. Each face gets an answer: match, unsure or unknown, with the reason, the
    probability that it is the person, and the share of strangers for whom somebody in the gallery scores as high.
    """
    from likeness.service import find_photos

    photos = list(find_photos(paths))
    failed = 0
    with flags.people(many=len(photos) > 1) as people, flags.output.progress("identifying") as progress:
        _warn_of_rate(flags, people)
        for done, found in enumerate(people.identify(photos), start=1):
            failed += found.photo.error is not None
            if flags.output.as_json:
                flags.output.json(found.as_dict(embeddings=embeddings))
            else:
                _show(flags.output, found, people.recognizer.calibration.floor)
            progress(done, len(photos))
    return PARTLY if failed else 0


def _warn_of_rate(flags: Flags, people: People) -> None:
    """Say what is promised instead, where the rate asked for is finer than the calibration supports here."""
    settings, calibration = flags.settings, people.recognizer.calibration
    if settings.fmr is not None or settings.origin("fpir") == "default":
        return
    faces = people.gallery.info().faces
    rate = calibration.search_threshold(settings.fpir, faces)[1]
    if rate > settings.fpir * 1.01:
        flags.output.warn(
            f"warning: {settings.fpir * 100:.2g}% of strangers named wrongly cannot be promised among {faces:,} faces; "
            f"the threshold promises {rate * 100:.2g}%, the least that the model's calibration supports"
        )


def _show(output: Output, found: Identified, floor: float) -> None:
    if found.photo.error is not None:
        output.failed(found.photo.path, found.photo.error.as_dict())
        return
    count = len(found.answers)
    output.text(f"{found.photo.path}: {'no face' if not count else 'a face' if count == 1 else f'{count} faces'}")
    for answer in found.answers:
        for line in answer_lines(answer, floor):
            output.text(f"  {line}")


def answer_lines(answer: Answer, floor: float) -> list[str]:
    """An answer in words: decision, numbers, reason, apparent age, what is wrong with the picture, who else it may be.

    At the calibration's `floor` a rate is a bound.
    """
    from likeness.service.choosing import explain

    quality = answer.face.quality
    looks = [f"  {line}"] if (line := apparent_line(answer.face)) else []
    poor = [] if quality.passes else [f"  below the quality gate: {explain(quality)}"]
    best = answer.match
    if best is None:
        return [f"unknown: {answer.reason}", *looks, *poor]
    said = {
        "match": best.name,
        "unsure": f"unsure, perhaps {best.name}",
        "unknown": f"unknown (nearest: {best.name})",
    }[answer.decision]
    lines = [
        said,
        f"  probability {chance(best.probability)}, "
        f"false-positive rate {bounded(best.fpir, best.fmr, floor)}, similarity {best.similarity:.3f}",
        f"  because {answer.reason}",
        *looks,
        *poor,
    ]
    others = [f"{match.name} {match.similarity:.3f}" for match in answer.runners_up[:2]]
    if others:
        lines.append(f"  next: {', '.join(others)}")
    return lines
