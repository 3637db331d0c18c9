"""What a detector is, and the box arithmetic that detectors share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.types import Pixels, Vector


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
        """Faces in `(h, w, 3)` RGB pixels whose box is at least `min_face_px` wide (None: the model's own default)."""
        ...


def areas(boxes: NDArray[np.float32]) -> Vector:
    """Areas of boxes `(n, 4)`, at least 0."""
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Vector = sides[:, 0] * sides[:, 1]
    return product


def suppress(boxes: Vector, scores: Vector, threshold: float, *, by_smaller: bool = False) -> NDArray[np.intp]:
    """Non-maximum suppression: indices of the boxes kept, best score first.

    A box goes where it overlaps a better one by more than `threshold`: intersection over union, or over the smaller
    of the two areas with `by_smaller` (which also removes a box inside another).
    """
    order = np.argsort(-scores, kind="stable")
    area = areas(boxes)
    kept = []
    while order.size:
        best, rest = order[0], order[1:]
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[rest, :2])
        high = np.minimum(boxes[best, 2:], boxes[rest, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        whole = np.minimum(area[best], area[rest]) if by_smaller else area[best] + area[rest] - shared
        order = rest[shared <= threshold * np.maximum(whole, 1e-9)]
    return np.array(kept, np.intp)


def squared(boxes: Vector) -> Vector:
    """Each box `(n, 4)` grown about its centre to a square on its longer side."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)
