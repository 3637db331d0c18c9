"""Pictures of the gallery as faces, to be compared like those of a photo."""

from __future__ import annotations

import numpy as np

from likeness.gallery.base import StoredFace
from likeness.types import Face, Quality


def face_of(stored: StoredFace) -> Face:
    """The face of an enrolled picture: its embedding, and what is known of its place in the photo.

    A face that was enrolled without a place (imported vectors) is said to fill its picture's unit square.
    """
    x1, y1, x2, y2 = stored.box_xyxy_px
    placed = x1 < x2 and y1 < y2
    landmarks = np.asarray(stored.landmarks_px if len(stored.landmarks_px) == 10 else np.zeros(10), np.float32)
    return Face(
        stored.box_xyxy_px if placed else (0.0, 0.0, 1.0, 1.0),
        landmarks.reshape(5, 2),
        1.0,
        Quality(stored.quality),
        embedding=stored.embedding,
    )
