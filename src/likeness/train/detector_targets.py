"""Which places of the detector's maps answer for which face of a scene, and what they ought to say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.train.scenes import Scene
from likeness.types import Vector
from likeness.vision.single_shot import STRIDES, places

FACE, NOTHING, IGNORED = 1, 0, -1
REACH_PX = {8: (0.0, 46.0), 16: (32.0, 92.0), 32: (64.0, 1e9)}
"""Mean side of the faces that each stride answers for; they overlap, so that no size falls between two."""
_NEAR_STRIDES, _NEAR_SIZES = 0.6, 0.18
_ABOUT_SIZES = 0.36


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """What `m` places ought to say.

    Attributes:
        kinds: `(m,)` int8: a face, nothing, or ignored.
        boxes_xyxy_px: `(m, 4)`, landmarks_px `(m, 5, 2)`: of the face, where there is one.
    """

    kinds: NDArray[np.int8]
    boxes_xyxy_px: Vector
    landmarks_px: Vector


def assign(scene: Scene) -> Targets:
    """A face's places: those near its middle, at the strides whose reach holds its size; the nearest one always.

    Where two faces meet the smaller one has the place. Places a little further from the middle, and all of faces that
    are not wanted, are ignored.
    """
    height, width = scene.pixels.shape[:2]
    centres, columns = places(height, width)
    strides = columns[:, 0]
    kinds = np.zeros(len(strides), np.int8)
    boxes, landmarks = np.zeros((len(strides), 4), np.float32), np.zeros((len(strides), 5, 2), np.float32)
    sizes = (scene.boxes_xyxy_px[:, 2:] - scene.boxes_xyxy_px[:, :2]).mean(axis=1)
    for index in np.argsort(-sizes):
        box, size = scene.boxes_xyxy_px[index], float(sizes[index])
        middle = (box[:2] + box[2:]) / 2
        away = np.abs(centres - middle).max(axis=1)
        if not scene.wanted[index]:
            kinds[((centres > box[:2]) & (centres < box[2:])).all(axis=1)] = IGNORED
            continue
        kinds[(away < _ABOUT_SIZES * size) & (kinds == NOTHING)] = IGNORED
        chosen = np.zeros(len(strides), bool)
        for stride in STRIDES:
            low, high = REACH_PX[stride]
            if low <= size < high:
                level = strides == stride
                near = np.where(level, away, np.inf)
                chosen |= level & (away < max(_NEAR_STRIDES * stride, _NEAR_SIZES * size))
                chosen[near.argmin()] = True
        kinds[chosen], boxes[chosen], landmarks[chosen] = FACE, box, scene.landmarks_px[index]
    return Targets(kinds, boxes, landmarks)
