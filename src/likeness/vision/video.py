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

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERY_S = 0.1
"""A frame each 100 ms."""
MOST_S = 30.0
MOST_PIXELS = 3840 * 2160
_HEAD_BYTES = 12


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One frame: `pixels` `(h, w, 3)` uint8 RGB, upright, `time_s` seconds after the first one."""

    pixels: Pixels
    time_s: float


def read_frames(
    source: bytes | str | os.PathLike[str],
    *,
    every_s: float = EVERY_S,
    most_s: float = MOST_S,
    most_pixels: int = MOST_PIXELS,
) -> Iterator[Frame]:
    """The frames of a video (a path, or the bytes of its file), each at least `every_s` after the one before.

    What lies after `most_s` is not read. A video that breaks off gives the frames that came before.

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
            with av.open(file, format=kind, options={"protocol_whitelist": "", "enable_drefs": "0"}) as container:
                for frame in _spaced(_decoded(container, most_pixels), every_s, most_s):
                    count += 1
                    yield frame
        except (av.FFmpegError, EOFError) as error:
            if not count:
                raise VideoUnusable(
                    "the video cannot be decoded", hint="record it again, or save it as MP4 or WebM"
                ) from error
    if not count:
        raise VideoUnusable("the video has no frames", hint="record it again, for 5 to 6 seconds")


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
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "mp4"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    raise VideoUnusable("the file is no video that is read here", hint="give MP4, MOV, WebM, MKV or AVI")


def _decoded(container: Any, most_pixels: int) -> Iterator[Any]:
    streams: Sequence[Any] = container.streams.video
    if not streams:
        raise VideoUnusable("the file holds no moving pictures", hint="give a video, not a sound recording")
    stream = streams[0]
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > most_pixels:
        raise _too_large(width, height, most_pixels)
    for frame in container.decode(stream):
        if frame.width * frame.height > most_pixels:  # they may change on the way
            raise VideoUnusable(
                f"the video's frames are {frame.width} x {frame.height}: more than {most_pixels:,} pixels"
            )
        yield frame


def _too_large(width: int, height: int, most_pixels: int) -> VideoUnusable:
    return VideoUnusable(f"the video's frames are {width} x {height}, more than {most_pixels:,} pixels")


def _spaced(frames: Iterator[Any], every_s: float, most_s: float) -> Iterator[Frame]:
    first: float | None = None
    due = 0.0
    for number, frame in enumerate(frames):
        stated = number / 25 if frame.time is None else float(frame.time)
        first = stated if first is None else first
        time_s = stated - first
        if time_s > most_s:
            return
        if time_s + 1e-3 < due:
            continue
        # From the plan, not from this frame: at 25 frames a second the steps would all become 120 ms.
        due = max(due + every_s, time_s + every_s / 2)
        yield Frame(_upright(frame), time_s)


def _upright(frame: Any) -> Pixels:
    pixels: Pixels = frame.to_ndarray(format="rgb24")
    turns = round(frame.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, turns)) if turns else pixels
