"""Pictures of the gallery as faces, to be compared like those of a photo."""

from __future__ import annotations

import numpy as np

from likeness.gallery.base import StoredFace
from likeness.types import Face, Quality, Vector


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


def face_of_vector(embedding: Vector) -> Face:
    """A face of which nothing is known but its embedding `(d,)`, of unit length."""
    return Face((0.0, 0.0, 1.0, 1.0), np.zeros((5, 2), np.float32), 1.0, Quality(0.0), embedding=embedding)
