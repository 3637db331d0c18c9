"""`likeness describe`: the faces on photos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.apparent import age_words, gender_words
from likeness.cli.flags import Flags, attributes_option, common_options, progress_option
from likeness.errors import InputError, PhotoError

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.service import Described, FoundPhoto
    from likeness.types import Face
    from likeness.vision.decode import DecodeLimits

PARTLY = 3


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--embeddings", is_flag=True, help="Compute the embeddings; with --json print them.")
@click.option(
    "--draw",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Draw boxes and landmarks: OUT is a .png, .jpg or .webp for one photo, a folder for several.",
)
@click.option("--min-face-px", type=float, metavar="N", expose_value=True, help="Smallest face looked for, in pixels.")
@attributes_option
@progress_option
@common_options
@click.pass_obj
def describe(
    flags: Flags, paths: tuple[str, ...], embeddings: bool, draw: Path | None, min_face_px: float | None
) -> int:
    """Find the faces on photos: boxes, landmarks, quality, apparent age and gender, embeddings.

    PATH is a photo or a folder of photos. Nothing is stored and no gallery is needed. Age and gender are what a model
    takes from looks alone; 8 of 10 faces like this one have an age within the range given.
    """
    from likeness.service import describe as look
    from likeness.service import find_photos

    flags.values["min_face_px"] = min_face_px
    photos = list(find_photos(paths))
    places = _places(draw, photos)
    recognizer = flags.recognizer(many=len(photos) > 1)
    failed = 0
    with flags.output.progress("describing") as progress:
        for done, found in enumerate(look(recognizer, photos, embed=embeddings), start=1):
            place = places[done - 1]
            if place is not None and found.error is None:
                found = _drawn(found, place, recognizer.limits)
            failed += found.error is not None
            if flags.output.as_json:
                drawn = {"drawn": str(place)} if place is not None and found.error is None else {}
                flags.output.json(found.as_dict(embeddings=embeddings) | drawn)
            else:
                _show(flags.output, found)
            progress(done, len(photos))
    return PARTLY if failed else 0


def _show(output: Output, found: Described) -> None:
    if found.error is not None:
        output.failed(found.path, found.error.as_dict())
        return
    count = len(found.faces)
    output.text(f"{found.path}: {'no face' if not count else 'a face' if count == 1 else f'{count} faces'}")
    if not count:
        return
    told = any(face.age is not None for face in found.faces)
    columns = ("place and size", "score", "quality", "remarks")
    rows = [_row(face) if told else _row(face)[: len(columns)] for face in found.faces]
    output.table((*columns, *(("apparent age", "8 of 10 within", "apparent gender") if told else ())), rows)


def _row(face: Face) -> tuple[str, ...]:
    x1, y1, x2, y2 = face.box_xyxy_px
    return (
        f"{x1:.0f},{y1:.0f} {x2 - x1:.0f}x{y2 - y1:.0f}",
        f"{face.score:.3f}",
        f"{face.quality.score:.2f}",
        ", ".join(face.quality.reasons) or "good",
        *(("", "") if face.age is None else age_words(face.age)),
        "" if face.gender is None else gender_words(face.gender),
    )


def _places(draw: Path | None, photos: Sequence[FoundPhoto]) -> list[Path | None]:
    """Where each photo's drawing goes.

    Raises:
        InputError: a drawing would overwrite one of the photos, or OUT is not named after what it is.
    """
    from likeness.data.photofiles import PHOTO_ENDINGS
    from likeness.service.portraits import expect_picture_name

    if draw is None:
        return [None] * len(photos)
    single = len(photos) == 1 and not draw.is_dir()
    if single:
        expect_picture_name(draw)
    elif draw.is_file() or (draw.suffix.lower() in PHOTO_ENDINGS and not draw.is_dir()):
        raise InputError(f"{str(draw)!r} names one picture, but {len(photos)} photos are drawn", hint="name a folder")
    # Numbered where two photos of different folders have one name.
    stems: dict[str, int] = {}
    places: list[Path | None] = []
    for photo in photos:
        stem = Path(photo.path).stem
        stems[stem] = stems.get(stem, 0) + 1
        ending = f".{stems[stem]}" if stems[stem] > 1 else ""
        places.append(draw if single else draw / f"{stem}{ending}.faces.png")
    inputs = {Path(photo.path).resolve() for photo in photos}
    for place in places:
        if place is not None and place.resolve() in inputs:
            raise InputError(f"drawing to {str(place)!r} would overwrite a photo", hint="name another file")
    return places


def _drawn(found: Described, place: Path, limits: DecodeLimits) -> Described:
    """The faces, after drawing them; with the error of a photo that could not be decoded once more."""
    from likeness.service.portraits import draw_faces, save_picture

    try:
        picture = draw_faces(found.path, found.faces, limits=limits)
    except PhotoError as error:
        return replace(found, error=error)
    save_picture(picture, place)
    return found
