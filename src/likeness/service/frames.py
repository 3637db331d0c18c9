"""The frames of a video, looked at: which faces are on each, for whoever follows them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from likeness.calibration import Calibration
from likeness.decision import VERIFICATION_FMR
from likeness.recognizer import Recognizer
from likeness.types import Face, Photo
from likeness.vision.video import Frame

FRAME_SIDE_PX = 1280
"""Larger frames are made smaller: a face that fills a part of such a frame loses nothing that is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenFrame:
    """A frame that was looked at: its faces (with embeddings), largest first, in pixels of the whole frame."""

    time_s: float
    faces: tuple[Face, ...] = ()
    size_px: tuple[int, int] = (1, 1)


def photo_of(frame: Frame) -> Photo:
    """A frame as a photo, to be looked at as one; it has no file whose digest it could carry."""
    return Photo(frame.pixels, frame.size_px, sha256="", kind="array")


def look_at_frame(recognizer: Recognizer, frame: Frame) -> SeenFrame:
    """The faces of a frame, with embeddings and without apparent age and gender."""
    faces = recognizer.faces(photo_of(frame), attributes=False)
    return SeenFrame(frame.time_s, tuple(faces), frame.size_px)


def look_at_frames(recognizer: Recognizer, frames: Iterable[Frame]) -> Iterator[SeenFrame]:
    """Each frame in order, looked at; several at a time."""
    return recognizer.map(lambda frame: look_at_frame(recognizer, frame), frames)


def same_from(calibration: Calibration) -> float:
    """The cosine from which on two faces of a video are taken for one person's."""
    return calibration.threshold(max(VERIFICATION_FMR, calibration.finest_rate))


def best_of(faces: Sequence[Face]) -> int:
    """Index of the best face: of those that pass the gate, else of all, the one with the highest quality."""
    return max(range(len(faces)), key=lambda index: (faces[index].quality.passes, faces[index].quality.score))
