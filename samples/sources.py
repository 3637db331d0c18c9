"""The faces that composites are made of: UTKFace's adults, and which of them stand sharp and straight.

Zhang, Song, Qi 2017, "Age progression/regression by conditional adversarial autoencoder": 23,708 faces of 160 px named
`age_gender_group_time.jpg`, for non-commercial research.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.types import Pixels, Vector
from likeness.vision.align import similarity_transform
from likeness.vision.detect import Detector
from likeness.vision.embed import Embedder

GENDERS = ("man", "woman")
GROUPS = ("White", "Black", "Asian", "Indian", "Other")


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """Faces of UTKFace, row by row.

    Attributes:
        names: file names.
        labels: `(n, 3)` age, gender, group, as the names say.
        landmarks_px: `(n, 5, 2)` in pixels of the file.
        embeddings: `(n, d)` of unit length.
        fit: `(n,)` whether the face may become part of a composite: frontal, sharp, evenly lit, in colour.
    """

    names: NDArray[np.str_]
    labels: NDArray[np.int64]
    landmarks_px: Vector
    embeddings: Vector
    fit: NDArray[np.bool_]

    def pool(self, ages: tuple[int, int], gender: str, group: str) -> NDArray[np.intp]:
        """Rows that are fit, of an age from `ages[0]` to `ages[1]`, a gender and a group."""
        age, sex, kind = self.labels.T
        wanted = (age >= ages[0]) & (age <= ages[1])
        wanted &= (sex == GENDERS.index(gender)) & (kind == GROUPS.index(group)) & self.fit
        return np.nonzero(wanted)[0]


def read_sources(cache: Path, files: Iterable[Path], detector: Detector, embedder: Embedder) -> Sources:
    """Detect and embed every one of `files` that shows one adult face; kept in the file `cache`."""
    if not cache.is_file():
        rows = [row for path in files if (row := _read_face(path, detector, embedder)) is not None]
        names, labels, landmarks, crops, scores = zip(*rows, strict=True)
        np.savez(
            cache,
            names=np.array(names),
            labels=np.array(labels),
            landmarks=np.stack(landmarks),
            embeddings=embedder.embed(np.stack(crops)),
            fit=np.array([is_fit(*row) for row in zip(landmarks, crops, scores, strict=True)]),
        )
    with np.load(cache) as kept:
        return Sources(kept["names"], kept["labels"], kept["landmarks"], kept["embeddings"], kept["fit"])


def _read_face(
    path: Path, detector: Detector, embedder: Embedder
) -> tuple[str, tuple[int, ...], Vector, Pixels, float] | None:
    parts = path.stem.split("_")
    if len(parts) != 4 or not 18 <= int(parts[0]) <= 65:
        return None
    pixels = np.asarray(Image.open(path).convert("RGB"))
    found = detector.detect(pixels, min_face_px=50)
    if len(found) != 1:
        return None
    landmarks = found.landmarks_px[0]
    labels = tuple(int(part) for part in parts[:3])
    return path.name, labels, landmarks, embedder.crop(pixels, landmarks), float(found.scores[0])


def is_fit(landmarks_px: Vector, crop: Pixels, score: float) -> bool:
    """Whether a face looks straight ahead, sharp, in colour and evenly lit."""
    eyes = landmarks_px[1] - landmarks_px[0]
    apart = float(np.hypot(*eyes))
    frame = np.array([[-0.5, 0.0], [0.5, 0.0]], np.float32)
    matrix = similarity_transform(landmarks_px[:2], frame)
    nose, left, right = landmarks_px[2:] @ matrix[:, :2].T + matrix[:, 2]
    mouth_x = float(left[0] + right[0]) / 2
    straight = abs(nose[0]) < 0.09 and abs(mouth_x) < 0.07 and abs(left[1] - right[1]) < 0.08
    values = crop.astype(np.float32) / 255
    grey = values.mean(axis=2)
    face = grey[20:130, 20:130]
    across, down = np.diff(face, n=2, axis=1)[1:-1], np.diff(face, n=2, axis=0)[:, 1:-1]
    detail = float(np.abs(across + down).mean())
    evenly = abs(float(face[:, :55].mean() - face[:, 55:].mean())) < 0.09 and 0.22 < float(face.mean()) < 0.75
    warmth = float((values[20:130, 20:130, 0] - values[20:130, 20:130, 2]).mean())
    # A line straight across the bridge of the nose is a frame of glasses.
    bridge = float(np.abs(np.diff(grey[34:58, 66:83].mean(axis=1))).max())
    sharp = score > 0.99 and detail > 0.018 and apart > 46
    plain = evenly and 0.05 < warmth < 0.35 and bridge < 0.034
    return bool(straight and sharp and plain and abs(float(eyes[1])) < 0.15 * apart)
