"""The best frames of a short video of one person: good faces, all of that person, and as different as the video gives.

Chosen greedily (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"), weighted by quality: first
the best face, then each time the frame with the largest `quality · (1 − largest cosine to those chosen)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.errors import VideoUnusable
from likeness.recognizer import Recognizer
from likeness.service.choosing import choose, explain
from likeness.service.enrolment import encode_crop
from likeness.types import Face, Vector
from likeness.vision.video import Frame

KEPT = 8
FRAME_SIDE_PX = 1280
"""Larger frames are made smaller: a face that fills a part of such a frame loses nothing that is looked at."""
ALIKE = 0.15
"""Frames nearer than this part of the median distance between frames show nothing new."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenFrame:
    """A frame that was looked at: `jpeg` to enrol it, the face (with embedding) on it, or the `reason` against it."""

    time_s: float
    jpeg: bytes
    face: Face | None = None
    reason: str = ""


def encode_frame(frame: Frame) -> bytes:
    """A frame as JPEG, at most `FRAME_SIDE_PX` long; the same frame always becomes the same bytes."""
    height, width = frame.pixels.shape[:2]
    factor = FRAME_SIDE_PX / max(height, width)
    if factor >= 1:
        return encode_crop(np.ascontiguousarray(frame.pixels))
    size = round(width * factor), round(height * factor)
    return encode_crop(np.asarray(Image.fromarray(frame.pixels).resize(size, Image.Resampling.LANCZOS)))


def judge_frame(time_s: float, jpeg: bytes, faces: Sequence[Face], size_px: tuple[int, int]) -> SeenFrame:
    """A frame with the face that is meant, the largest, or with what is wrong with it."""
    if not faces:
        return SeenFrame(time_s, jpeg, reason="no face was found")
    face = faces[choose(faces, "largest", size_px)[0]]
    if not face.quality.passes:
        return SeenFrame(time_s, jpeg, reason=f"the face is {explain(face.quality)}")
    return SeenFrame(time_s, jpeg, face)


def look_at_frames(recognizer: Recognizer, frames: Iterable[Frame]) -> Iterator[SeenFrame]:
    """Each frame, looked at; several at a time."""

    def look(frame: Frame) -> SeenFrame:
        jpeg = encode_frame(frame)
        photo = recognizer.photo(jpeg)
        return judge_frame(frame.time_s, jpeg, recognizer.faces(photo, attributes=False), photo.size_px)

    yield from recognizer.map(look, frames)


def choose_frames(seen: Sequence[SeenFrame], *, same_from: float, keep: int = KEPT) -> list[int]:
    """Indices of the frames to keep, best first: at most `keep`, all of one person, none that shows nothing new.

    Args:
        seen: frames in order; those without a face are passed over.
        same_from: cosine from which on two faces are taken for one person's. Whoever appears in fewer frames than the
            person whom the video shows is not them.

    Raises:
        VideoUnusable: no frame can be used; the message says what was wrong with most of them.
    """
    usable = [index for index, each in enumerate(seen) if each.face is not None]
    if not usable:
        reasons = [each.reason.split(" (")[0] for each in seen]
        usual = max(dict.fromkeys(reasons), key=reasons.count, default="it is empty")
        raise VideoUnusable(
            f"none of the video's {len(seen)} frames can be used: on most, {usual}",
            hint="sit in even light, look at the camera, and turn your head slowly",
        )
    vectors = np.stack([_vector(seen[index]) for index in usable])
    cosines = vectors @ vectors.T
    centre = int(np.argmax(np.median(cosines, axis=1)))
    own = cosines[centre] >= same_from
    own[centre] = True
    places = np.nonzero(own)[0]
    quality = np.array([_quality(seen[usable[place]]) for place in places])
    picked = _spread(1 - cosines[np.ix_(places, places)], quality, keep)
    return [usable[places[each]] for each in picked]


def _spread(distances: NDArray[np.float32], quality: NDArray[np.float64], keep: int) -> list[int]:
    """The greedy choice among `n` frames: distances `(n, n)`, quality `(n,)`."""
    chosen = [int(np.argmax(quality))]
    apart = distances[np.triu_indices(len(quality), 1)]
    least = max(ALIKE * float(np.median(apart)), 1e-4) if len(apart) else 0.0
    while len(chosen) < min(keep, len(quality)):
        nearest = distances[:, chosen].min(axis=1)
        gain = np.where(nearest >= least, quality * nearest, -1.0)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        if gain[best] < 0:
            break
        chosen.append(best)
    return chosen


def _vector(frame: SeenFrame) -> Vector:
    if frame.face is None or frame.face.embedding is None:
        raise ValueError("expected a frame whose face has an embedding")
    return frame.face.embedding


def _quality(frame: SeenFrame) -> float:
    return 0.0 if frame.face is None else frame.face.quality.score
