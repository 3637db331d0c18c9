"""Videos to frames: upright RGB pixels at even steps of time. Needs the extra `video` (PyAV, which brings FFmpeg).

A video comes from strangers. Its kind is told from its first bytes and no other demuxer is tried, as some of them
open files and addresses that a playlist names; it is read through a file object, which leads nowhere else.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from likeness.errors import ExtraMissing, VideoUnusable
from likeness.types import Pixels
from likeness.vision.sniff import HEAD_BYTES, sniff_video

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_S = 0.1
"""A frame each 100 ms."""
CLOSED = {"protocol_whitelist": "", "enable_drefs": "0"}
"""What keeps a file from leading anywhere else."""
MOST_S = 30.0
MOST_PIXELS = 3840 * 2160
MOST_PER_S = 1000
"""Frames a second; slow-motion cameras have 960. Else a small file could hold years of frames in its first second."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame: `pixels` `(h, w, 3)` uint8 RGB, upright, `time_s` seconds after the first one.

    `full_px` is its width and height in the video, where it was made smaller while it was read.
    """

    pixels: Pixels
    time_s: float
    full_px: tuple[int, int] | None = None

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height in the video."""
        return self.full_px or (self.pixels.shape[1], self.pixels.shape[0])


def read_frames(
    source: bytes | str | os.PathLike[str],
    *,
    every_s: float = EVERY_S,
    most_s: float = MOST_S,
    most_pixels: int = MOST_PIXELS,
    side_px: int | None = None,
) -> Iterator[Frame]:
    """The frames of a video (a path, or the bytes of its file), each at least `every_s` after the one before.

    What lies after `most_s` is not read. A video that breaks off gives the frames that came before. Frames with a side
    longer than `side_px` are made smaller.

    Raises:
        VideoUnusable: it is no video of a kind that is read, its frames are too large, or it has none.
        ExtraMissing: the extra `video` is not installed.
    """
    if every_s < 0 or most_s <= 0:
        raise ValueError(f"expected every_s of at least 0 and most_s above 0, got {every_s} and {most_s}")
    try:
        import av
    except ImportError as error:
        raise ExtraMissing("reading videos needs PyAV", hint="pip install 'likeness[video]'") from error
    count = 0
    with _opened(source) as file:
        kind = _kind(file)
        try:
            with av.open(file, format=kind, options=CLOSED, metadata_errors="replace") as container:
                for frame, time_s in spaced(decoded(container, most_pixels), every_s, most_s):
                    count += 1
                    yield picture(frame, time_s, side_px)
        except (av.FFmpegError, EOFError) as error:
            if not count:
                raise VideoUnusable(
                    "the video cannot be decoded", hint="record it again, or save it as MP4 or WebM"
                ) from error
    if not count:
        raise VideoUnusable("the video has no frames", hint="record it again, for 5 to 6 seconds")


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a plain file is a video of a kind that is read, by its first bytes; false where there is no such file."""
    try:
        if not Path(path).is_file():  # a pipe is not opened: it would be waited for
            return False
        with Path(path).open("rb") as file:
            return sniff_video(file.read(HEAD_BYTES)) is not None
    except (OSError, ValueError):
        return False


def duration(source: bytes | str | os.PathLike[str]) -> float | None:
    """How long a video says that it lasts, in seconds; None where it does not say, or is none."""
    try:
        import av
    except ImportError:
        return None
    with _opened(source) as file:
        try:
            kind = _kind(file)
            with av.open(file, mode="r", format=kind, options=CLOSED, metadata_errors="replace") as container:
                return None if container.duration is None else container.duration / av.time_base
        except (av.FFmpegError, EOFError, VideoUnusable):
            return None


def expected_frames(path: str | os.PathLike[str], every_s: float, most_s: float) -> int | None:
    """About how many frames `read_frames` will give; None where the video does not say."""
    lasts_s = duration(path)
    return None if lasts_s is None else max(round(min(lasts_s, most_s) / every_s), 1)


@contextmanager
def _opened(source: bytes | str | os.PathLike[str]) -> Iterator[BinaryIO]:
    if isinstance(source, bytes):
        yield io.BytesIO(source)
        return
    try:
        with Path(source).open("rb") as file:
            yield file
    except OSError as error:
        raise VideoUnusable(f"{os.fspath(source)!r} cannot be read: {error.strerror}") from error


def _kind(file: BinaryIO) -> str:
    """FFmpeg's name for the kind of a file, from its first bytes."""
    kind = sniff_video(file.read(HEAD_BYTES))
    file.seek(0)
    if kind is None:
        raise VideoUnusable("the file is no video that is read here", hint="give MP4, MOV, WebM, MKV or AVI")
    return kind


def decoded(container: Any, most_pixels: int = MOST_PIXELS) -> Iterator[Any]:
    """The frames of an opened container's first video, as FFmpeg has them.

    Raises:
        VideoUnusable: there is none, it is of an unknown codec, or its frames are too large.
    """
    streams: Sequence[Any] = container.streams.video
    if not streams:
        raise VideoUnusable("the file holds no moving pictures", hint="give a video, not a sound recording")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoUnusable("the video's pictures are packed in a way that is not known", hint="save it as MP4 or WebM")
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > most_pixels:
        raise _too_large(width, height, most_pixels)
    for frame in container.decode(stream):
        if frame.width * frame.height > most_pixels:  # they may change on the way
            raise _too_large(frame.width, frame.height, most_pixels)
        yield frame


def _too_large(width: int, height: int, most_pixels: int) -> VideoUnusable:
    return VideoUnusable(f"the video's frames are {width} x {height}, more than {most_pixels:,} pixels")


def spaced(frames: Iterator[Any], every_s: float, most_s: float) -> Iterator[tuple[Any, float]]:
    """Those of FFmpeg's frames that are due, each with its seconds after the first.

    Raises:
        VideoUnusable: there are more frames in a second than any camera takes.
    """
    first: float | None = None
    due = 0.0
    for number, frame in enumerate(frames):
        stated = number / 25 if frame.time is None else float(frame.time)
        first = stated if first is None else first
        time_s = stated - first
        if time_s > most_s:
            return
        if number > MOST_PER_S * (time_s + 1):
            raise VideoUnusable(f"the video has more than {MOST_PER_S:,} frames a second", hint="record it again")
        if time_s + 1e-3 < due:
            continue
        # From the plan, not from this frame: at 25 frames a second the steps would all become 120 ms.
        due = max(due + every_s, time_s + every_s / 2)
        yield frame, time_s


def picture(frame: Any, time_s: float, side_px: int | None = None) -> Frame:
    """One of FFmpeg's frames as upright pixels, made smaller where a side is longer than `side_px`."""
    factor = 1.0 if side_px is None else min(1.0, side_px / max(frame.width, frame.height))
    turns = round(frame.rotation / 90) % 4
    full = (frame.height, frame.width) if turns % 2 else (frame.width, frame.height)
    if factor < 1:
        width, height = (max(round(side * factor), 1) for side in (frame.width, frame.height))
        frame = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    upright = np.rot90(pixels, turns) if turns else pixels
    return Frame(np.ascontiguousarray(upright), time_s, full)
