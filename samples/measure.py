"""Measuring the samples: how alike photos of one person, of two, and of a source face are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from casting import embed_both
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detector
from likeness.vision.embed import Embedder
from sources import Sources


@dataclass(frozen=True, slots=True, eq=False)
class Shot:
    """What the models see: how many faces, and the score and embeddings `(2, d)` (see embed_both) of the surest."""

    faces: int
    score: float
    vectors: Vector

    def similarity(self, other: Shot) -> float:
        """The lower cosine of the plain and the flip-averaged embeddings."""
        return float((self.vectors * other.vectors).sum(axis=1).min())


def read_shot(pixels: Pixels, detector: Detector, embedder: Embedder) -> Shot:
    """Detect and embed the surest face."""
    found = detector.detect(pixels)
    if not len(found):
        return Shot(0, 0.0, np.zeros((2, embedder.dimension), np.float32))
    crop = embedder.crop(pixels, found.landmarks_px[0])
    return Shot(len(found), float(found.scores[0]), embed_both(embedder, crop[None])[0])


def measure_samples(
    out: Path,
    people: Sequence[Mapping[str, Any]],
    ingredients: Sequence[tuple[int, ...]],
    sources: Sources,
    detector: Detector,
    embedder: Embedder,
) -> dict[str, Any]:
    """Figures of the written files: cosines under plain and flip-averaged embeddings, nearest source, sizes.

    `ingredients` are the rows of the sources that each of the people was mixed from.
    """
    albums = [[*person["files"], person["probe"]] for person in people]
    owners = np.array([k for k, album in enumerate(albums) for _ in album])
    shots = [read_shot(decode_photo(out / path).pixels, detector, embedder) for album in albums for path in album]
    vectors = np.stack([shot.vectors for shot in shots])
    strange = [read_shot(decode_photo(p).pixels, detector, embedder) for p in sorted(out.glob("probes/stranger_*.jpg"))]
    same = owners[:, None] == owners[None]
    different_photo = ~np.eye(len(owners), dtype=bool)
    figures: dict[str, Any] = {
        "embedder": embedder.name,
        "photos": len(shots) + len(strange) + 2,
        "bytes": sum(path.stat().st_size for path in out.glob("p*/**/*.jpg")),
        "least_detection_score": _rounded(min(shot.score for shot in (*shots, *strange))),
    }
    for form, name in enumerate(("plain", "flip_averaged")):
        cosines = vectors[:, form] @ vectors[:, form].T
        strangers = np.stack([shot.vectors[form] for shot in strange]) @ vectors[:, form].T
        figures[name] = {
            "least_genuine_cosine": _rounded(cosines[same & different_photo].min()),
            "mean_genuine_cosine": _rounded(cosines[same & different_photo].mean()),
            "greatest_impostor_cosine": _rounded(cosines[~same].max()),
            "mean_impostor_cosine": _rounded(cosines[~same].mean()),
            "strangers_greatest_cosine": [_rounded(row.max()) for row in strangers],
        }
    near = vectors[:, 0] @ sources.embeddings.T
    figures["source_faces_compared"] = len(sources.names)
    own = [near[k, list(ingredients[owner])].max() for k, owner in enumerate(owners)]
    figures["nearest_ingredient_cosine"] = _rounded(max(own))
    figures["mean_nearest_ingredient_cosine"] = _rounded(np.mean(own))
    figures["nearest_source_cosine"] = _rounded(near.max())
    figures["mean_nearest_source_cosine"] = _rounded(near.max(axis=1).mean())
    return figures


def _rounded(value: float | np.floating[Any]) -> float:
    return round(float(value), 4)
