"""What a detector is, and the box arithmetic that detectors share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.types import Pixels, Vector

MIRRORED = (1, 0, 2, 4, 3)
"""The landmarks' order in a mirror image, where the left eye is the right one."""


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Faces in one picture, most confident first.

    Attributes:
        boxes_xyxy_px: `(n, 4)` float32, in pixels of the array that was searched.
        landmarks_px: `(n, 5, 2)` float32, in the order of `likeness.types.LANDMARK_NAMES`.
        scores: `(n,)` float32, 0 to 1.
    """

    boxes_xyxy_px: Vector
    landmarks_px: Vector
    scores: Vector

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Detections:
        """No faces."""
        return cls(np.empty((0, 4), np.float32), np.empty((0, 5, 2), np.float32), np.empty(0, np.float32))


class Detector(Protocol):
    """Finds faces with five landmarks. Thread-safe."""

    def detect(self, pixels: Pixels, *, min_face_px: float | None = None) -> Detections:
        """Faces in `(h, w, 3)` RGB pixels of about `min_face_px` and more (None: `smallest_face_px`).

        The size of a face is its box's longer side. Sizes are known only roughly before a face is found: all from
        `min_face_px` on are looked for, smaller ones may be found too, none below half of it. Pictures are never
        enlarged, so nobody sees faces smaller than the network's own window (12 or 16 pixels), whatever is asked for.
        """
        ...

    def smallest_face_px(self, pixels: Pixels) -> float:
        """How large a face in `(h, w, 3)` pixels must be to be looked for, where nobody says otherwise."""
        ...


def suppress(boxes: Vector, scores: Vector, threshold: float, *, by_smaller: bool = False) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes kept, best score first.

    A box goes where it overlaps a better one by more than `threshold`: intersection over union, or over the smaller
    of the two areas with `by_smaller` (which also removes a box inside another). Memory grows with the square of the
    number of boxes.
    """
    order = np.argsort(-scores, kind="stable")
    low, high = boxes[order, :2], boxes[order, 2:]
    area = np.prod(np.maximum(high - low, 0), axis=1)
    sides = np.minimum(high[:, None], high[None]) - np.maximum(low[:, None], low[None])
    shared = np.prod(np.maximum(sides, 0), axis=2)
    whole = np.minimum(area[:, None], area[None]) if by_smaller else area[:, None] + area[None] - shared
    covers = shared > threshold * np.maximum(whole, 1e-9)
    alive = np.ones(len(order), bool)
    kept = []
    for place in range(len(order)):
        if alive[place]:
            kept.append(place)
            alive &= ~covers[place]
    return order[kept]


def squared(boxes: Vector) -> Vector:
    """Each box `(n, 4)` grown about its centre to a square on its longer side."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
