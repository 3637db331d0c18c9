"""`likeness identify`: who is on photos and videos, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import (
    Flags,
    attributes_option,
    common_options,
    every_option,
    progress_option,
    threshold_options,
)
from likeness.cli.identify_lines import answer_lines

if TYPE_CHECKING:
    from likeness.cli.identify_video import VideoOptions
    from likeness.cli.output import Output
    from likeness.service import FoundPhoto
    from likeness.service.people import Identified, People

PARTLY = 3


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path())
@click.option("--embeddings", is_flag=True, help="With --json: the faces' embeddings too.")
@every_option
@click.option("--for", "for_s", type=click.FloatRange(min=0.1), metavar="SECONDS", help="Of a video, look no longer.")
@click.option(
    "--annotate",
    metavar="OUT",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the video with boxes, names and probabilities: OUT is a .mp4, .mov or .mkv.",
)
@attributes_option
@threshold_options
@progress_option
@common_options
@click.pass_obj
def identify(
    flags: Flags, paths: tuple[str, ...], embeddings: bool, every_s: float, for_s: float | None, annotate: Path | None
) -> int:
    """Say who is on photos and videos, and how sure that is.

    PATH is a photo, a video, a folder of them, a stream's address (rtsp://…, http://…, udp://…, tcp://…), or camera
    (camera:1 is the second one). Each face gets an answer: match, unsure or unknown, with the reason, the probability
    that it is the person, and the share of strangers for whom somebody in the gallery scores as high.

    In a video faces are followed, and each track has one answer, when it ends; of a camera or stream a first one as
    soon as it is sure. Ctrl-C ends a camera or stream in good order.
    """
    from likeness.cli.identify_video import VideoOptions, sort_out, watch
    from likeness.service import find_photos
    from likeness.vision.video import is_video

    options = VideoOptions(every_s, for_s, annotate, embeddings)
    paths_of_files, live = sort_out(paths, options)
    if live is not None:
        with flags.people() as people:
            _warn_of_rate(flags, people)
            return watch(flags, people, live, options)
    photos = list(find_photos(paths_of_files))
    videos = [photo.path for photo in photos if photo.error is None and is_video(photo.path)]
    if annotate is not None and len(videos) != 1:
        raise click.UsageError(f"--annotate writes one video, but {len(videos)} are given")
    moving = set(videos)
    photos = [photo for photo in photos if photo.path not in moving]
    with flags.people(many=len(photos) > 1 or bool(videos)) as people:
        _warn_of_rate(flags, people)
        codes = [_identify_photos(flags, people, photos, embeddings)]
        codes += _identify_videos(flags, people, videos, options)
    return max(codes)


def _identify_photos(flags: Flags, people: People, photos: Sequence[FoundPhoto], embeddings: bool) -> int:
    failed = 0
    with flags.output.progress("identifying") as progress:
        for done, found in enumerate(people.identify(photos), start=1):
            failed += found.photo.error is not None
            if flags.output.as_json:
                flags.output.json(found.as_dict(embeddings=embeddings))
            else:
                _show(flags.output, found, people.recognizer.calibration.floor)
            progress(done, len(photos))
    return PARTLY if failed else 0


def _identify_videos(flags: Flags, people: People, videos: Sequence[str], options: VideoOptions) -> Iterator[int]:
    """Each video's exit code; one that was interrupted is the last."""
    from likeness.cli.identify_video import INTERRUPTED, identify_file
    from likeness.errors import VideoUnusable

    for path in videos:
        try:
            code = identify_file(flags, people, path, options)
        except VideoUnusable as error:
            if flags.output.as_json:
                flags.output.json({"path": path, "error": error.as_dict()})
            else:
                flags.output.failed(path, error.as_dict())
            code = PARTLY
        yield code
        if code == INTERRUPTED:
            return


def _warn_of_rate(flags: Flags, people: People) -> None:
    """Say what is promised instead, where the rate asked for is finer than the calibration supports here."""
    settings, calibration = flags.settings, people.recognizer.calibration
    if settings.fmr is not None or settings.origin("fpir") == "default":
        return
    faces = people.gallery.extent().faces
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
    several = f"{count} faces, numbered from the left"
    output.text(f"{found.photo.path}: {'no face' if not count else 'a face' if count == 1 else several}")
    for number, answer in enumerate(sorted(found.answers, key=lambda each: each.face.box_xyxy_px[0]), 1):
        first, *more = answer_lines(answer, floor)
        for line in (f"{number}. {first}" if count > 1 else first, *more):
            output.text(f"  {line}")
