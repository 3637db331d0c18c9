"""`likeness identify` of videos: one answer for each track of a face, from files, cameras and streams."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags
from likeness.cli.identify_lines import answer_lines
from likeness.cli.stopping import stopping

if TYPE_CHECKING:
    from collections.abc import Callable

    from likeness.service import People
    from likeness.service.annotating import AnnotatedVideo
    from likeness.service.frames import SeenFrame
    from likeness.service.tracks import Following, TrackAnswer
    from likeness.vision.live import LiveSource
    from likeness.vision.video import Frame

INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """What `identify` is told about videos."""

    every_s: float
    for_s: float | None
    annotate: Path | None
    embeddings: bool


def sort_out(paths: Sequence[str], options: VideoOptions) -> tuple[list[str], LiveSource | None]:
    """The paths of files and folders, and the camera or stream, of which there may be one, alone.

    Raises:
        InputError: an address is of a kind that is not read, or the annotated video's name is not a video's.
    """
    from likeness.service.annotating import expect_video_name
    from likeness.vision.live import live_source

    live = [source for path in paths if (source := live_source(path)) is not None]
    if live and len(paths) > 1:
        raise click.UsageError("a camera or stream is watched alone: give it as the only PATH")
    if options.annotate is not None:
        expect_video_name(options.annotate)
    return ([] if live else list(paths)), (live[0] if live else None)


def watch(flags: Flags, people: People, source: LiveSource, options: VideoOptions) -> int:
    """Name who a camera or stream shows, until Ctrl-C or the time is up; the command's exit code."""
    from likeness.service.annotating import AnnotatedVideo
    from likeness.service.frames import FRAME_SIDE_PX, look_at_frame
    from likeness.service.looking import load_models
    from likeness.service.tracks import Following
    from likeness.vision.live import live_frames

    load_models(people.recognizer, attributes=False)  # before the first frame waits
    show = _Show(flags, source.shown, people.recognizer.calibration.floor, options)
    following = Following(people, first=True)
    with ExitStack() as stack:
        stop = stack.enter_context(stopping())
        video = None if options.annotate is None else stack.enter_context(AnnotatedVideo(options.annotate))
        frames = live_frames(
            source,
            every_s=options.every_s,
            for_s=options.for_s,
            side_px=FRAME_SIDE_PX,
            stop=stop,
            tell=flags.output.say,
        )
        for frame in frames:
            here = following.add(look_at_frame(people.recognizer, frame))
            show.all(following.news())
            if video is not None:
                _draw_live(video, frame, here, following)
        show.all(following.end())
    show.end(following)
    return 0


def identify_file(flags: Flags, people: People, path: str, options: VideoOptions) -> int:
    """Name who a video's file shows; the command's exit code.

    Raises:
        VideoUnusable: it cannot be read. StorageError: the annotated video cannot be written.
    """
    from likeness.service.annotating import AnnotatedVideo
    from likeness.service.frames import FRAME_SIDE_PX, look_at_frames
    from likeness.service.looking import load_models
    from likeness.service.tracks import Following
    from likeness.vision.video import expected_frames, read_frames

    load_models(people.recognizer, attributes=False)
    show = _Show(flags, path, people.recognizer.calibration.floor, options)
    following = Following(people, places=options.annotate is not None)
    most_s = float("inf") if options.for_s is None else options.for_s
    total = expected_frames(path, options.every_s, most_s) or 0
    with ExitStack() as stack:
        video = None if options.annotate is None else stack.enter_context(AnnotatedVideo(options.annotate))
        stop = stack.enter_context(stopping())
        frames = read_frames(path, every_s=options.every_s, most_s=most_s, side_px=FRAME_SIDE_PX)
        with flags.output.progress("looking at frames") as progress:
            for seen in _until(stop, look_at_frames(people.recognizer, frames)):
                following.add(seen)
                show.all(following.news())
                progress(following.frames, max(total, following.frames))
        show.all(following.end())
        if video is not None:
            _draw_file(flags, video, path, following, most_s, stop)
        stopped = stop()
    show.end(following, stopped=stopped)
    return INTERRUPTED if stopped else 0


class _Show:
    """Answers, as lines for people or as JSON."""

    def __init__(self, flags: Flags, path: str, floor: float, options: VideoOptions) -> None:
        self._output, self._path, self._floor, self._options = flags.output, path, floor, options

    def all(self, found: Iterable[TrackAnswer]) -> None:
        """Show answers as they come."""
        for each in found:
            if self._output.as_json:
                self._output.json({"path": self._path} | each.as_dict(embedding=self._options.embeddings))
                continue
            lines = answer_lines(each.answer, self._floor)
            if each.event == "first":
                self._output.text(f"{self._path}: track {each.track}, since {each.start_s:.1f} s: {lines[0]}")
                continue
            self._output.text(
                f"{self._path}: track {each.track}, {each.start_s:.1f} to {each.end_s:.1f} s, {each.frames} frames"
            )
            for line in lines:
                self._output.text(f"  {line}")

    def end(self, following: Following, *, stopped: bool = False) -> None:
        """Sum up."""
        summary = {"frames": following.frames, "tracks": following.named, "glimpses": following.glimpses}
        if self._output.as_json:
            self._output.json({"path": self._path, "event": "end", **summary, "stopped": stopped})
            return
        if not following.named:
            self._output.text(f"{self._path}: no face in {following.frames} frames")
        if following.glimpses:
            self._output.say(f"{following.glimpses} faces were seen too shortly or too poorly to be named")


def _until(stop: Callable[[], bool], seen: Iterator[SeenFrame]) -> Iterator[SeenFrame]:
    for each in seen:
        yield each
        if stop():
            return


def _draw_live(video: AnnotatedVideo, frame: Frame, here: Sequence[tuple[int, Any]], following: Following) -> None:
    scale = frame.pixels.shape[1] / frame.size_px[0]
    marks = [(_scaled(box, scale), following.answers.get(number)) for number, box in here]
    video.write(frame.pixels, frame.time_s, marks)


def _draw_file(
    flags: Flags, video: AnnotatedVideo, path: str, following: Following, most_s: float, stop: Callable[[], bool]
) -> None:
    """The whole video once more, every frame of it, with the names that are known by now."""
    from likeness.service.tracks import place_at
    from likeness.vision.video import expected_frames, read_frames

    places = {number: own for number, own in (following.places or {}).items() if number in following.answers}
    total = expected_frames(path, 1 / 25, most_s) or 0
    with flags.output.progress("drawing") as progress:
        for done, frame in enumerate(read_frames(path, every_s=0, most_s=most_s), start=1):
            marks = [
                (box, following.answers[number])
                for number, own in places.items()
                if (box := place_at(own, frame.time_s)) is not None
            ]
            video.write(frame.pixels, frame.time_s, marks)
            progress(done, max(total, done))
            if stop():
                return


def _scaled(box: tuple[float, ...], scale: float) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (value * scale for value in box)
    return x1, y1, x2, y2
