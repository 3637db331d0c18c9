"""Videos with a box and a name around each face."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from PIL import Image, ImageDraw

from likeness.errors import ExtraMissing, InputError, StorageError
from likeness.service.portraits import GOOD, POOR, expect_writable, mark_box
from likeness.types import Answer, Pixels
from likeness.vision.motion import Box

KINDS = (".mp4", ".mov", ".mkv")
CODECS = ("libx264", "mpeg4")
"""H.264 where this FFmpeg has it, else MPEG-4 part 2, which every one has."""
OTHER = (170, 170, 170)
_MS = Fraction(1, 1000)


class AnnotatedVideo(AbstractContextManager["AnnotatedVideo"]):
    """A video that is written frame by frame, whole or not at all; without sound.

    Raises:
        InputError: the name is no video's. StorageError: it cannot be written there.
        ExtraMissing: the extra `video` is not installed.
    """

    def __init__(self, target: Path) -> None:
        expect_video_name(target)
        expect_writable(target)
        try:
            import av
        except ImportError as error:
            raise ExtraMissing("writing videos needs PyAV", hint="pip install 'likeness[video]'") from error
        self._av, self.target = av, target
        self._aside = target.with_name(f".{target.name}.part")
        self._container: Any = None
        self._stream: Any = None
        self._last = -1

    def write(self, pixels: Pixels, time_s: float, marks: Sequence[tuple[Box, Answer | None]]) -> None:
        """Add a frame `(h, w, 3)` with its faces marked; of another size than the first one it is fitted to that."""
        try:
            if self._container is None:
                self._begin(pixels.shape[1], pixels.shape[0])
            frame = self._av.VideoFrame.from_ndarray(self._fitted(drawn(pixels, marks)), format="rgb24")
            self._last = max(self._last + 1, round(time_s * 1000))
            frame.pts, frame.time_base = self._last, _MS
            self._container.mux(self._stream.encode(frame))
        except (self._av.FFmpegError, OSError) as error:
            raise _unwritten(self.target, error) from error

    def _begin(self, width: int, height: int) -> None:
        kind = {".mkv": "matroska"}.get(self.target.suffix.lower(), self.target.suffix.lower()[1:])
        self._container = self._av.open(str(self._aside), "w", format=kind)
        codec = next(name for name in CODECS if name in self._av.codecs_available)
        self._stream = self._container.add_stream(codec, rate=25)
        self._stream.width, self._stream.height = width - width % 2, height - height % 2
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = _MS
        if codec == "libx264":
            self._stream.options = {"preset": "veryfast", "crf": "23"}
        else:
            self._stream.bit_rate = 4_000_000

    def _fitted(self, pixels: Pixels) -> Pixels:
        width, height = self._stream.width, self._stream.height
        if pixels.shape[1] - width in (0, 1) and pixels.shape[0] - height in (0, 1):
            return np.ascontiguousarray(pixels[:height, :width])
        return np.asarray(Image.fromarray(pixels).resize((width, height)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is None:
            return
        try:
            if kind is None:
                self._container.mux(self._stream.encode())
            self._container.close()
            if kind is None:
                self._aside.replace(self.target)
        except (self._av.FFmpegError, OSError) as failed:
            raise _unwritten(self.target, failed) from failed
        finally:
            self._aside.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self


def expect_video_name(target: Path) -> None:
    """Let a name pass whose ending says which kind of video to write.

    Raises:
        InputError: it does not.
    """
    if target.suffix.lower() not in KINDS:
        raise InputError(
            f"the name {str(target)!r} does not say which kind of video to write", hint=f"end it in {', '.join(KINDS)}"
        )


def drawn(pixels: Pixels, marks: Sequence[tuple[Box, Answer | None]]) -> Pixels:
    """A frame with a box around each face, the name and how probable it is; unnamed while there is no answer."""
    if not marks:
        return pixels
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    for box, answer in marks:
        words, colour = _said(answer)
        mark_box(pen, box, words, colour, image.size)
    return np.asarray(image)


def _said(answer: Answer | None) -> tuple[str, tuple[int, int, int]]:
    if answer is None or answer.match is None:
        return ("…" if answer is None else "unknown"), OTHER
    chance = f"{min(answer.match.probability, 0.99):.0%}"
    if answer.decision == "match":
        return f"{answer.match.name} {'over ' if answer.match.probability > 0.99 else ''}{chance}", GOOD
    return (f"{answer.match.name}? {chance}", POOR) if answer.decision == "unsure" else ("unknown", OTHER)


def _unwritten(target: Path, error: Exception) -> StorageError:
    words = getattr(error, "strerror", None) or type(error).__name__
    return StorageError(f"{str(target)!r} cannot be written: {words}")
