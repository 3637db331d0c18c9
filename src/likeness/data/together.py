"""Photos of nobody in particular that must not be parted: the same shot, or faces so near that they may be one person.

Where no row says who it shows, a split by person can only be approached: what looks like one person goes into one
split. A threshold alone would chain half of all babies together, who look alike to a network; so two faces count as
one person's only where each is also among the other's few nearest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from likeness.bundle import Bundle
from likeness.data.check import calibration_for_labels
from likeness.data.dataset import Dataset
from likeness.data.duplicates import Duplicate, joined
from likeness.data.embeddings import embed_crops
from likeness.data.manifest import Row
from likeness.types import Vector

NEAREST = 2
"""Each of two faces must be among so many nearest of the other."""
_BLOCK = 1 << 24
"""Similarities that are held at once."""


def rows_together(
    dataset: Dataset,
    duplicates: Sequence[Duplicate],
    bundle: Bundle | None = None,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[Row]]:
    """Groups of rows that a split must not part: duplicates, and with a bundle nameless faces that look like one.

    Raises:
        CalibrationError: the bundle carries none for its embedding space.
        DatasetError: the crops are not aligned for the bundle, or one cannot be read.
    """
    pairs = [(pair.first, pair.second) for pair in duplicates]
    if bundle is not None:
        calibration = calibration_for_labels(bundle)
        nameless = tuple(row for row in dataset.rows if not row.identity)
        vectors = embed_crops(
            Dataset(dataset.folder, dataset.facts, nameless), bundle, workers=workers, progress=progress
        )
        least = calibration.threshold(calibration.finest_rate)
        pairs += [(nameless[one], nameless[two]) for one, two in mutual_neighbours(vectors, least)]
    return joined(pairs)


def mutual_neighbours(vectors: Vector, least: float, nearest: int = NEAREST) -> list[tuple[int, int]]:
    """Pairs of rows of unit vectors `(n, d)` at least so similar, each among the other's `nearest`, smaller first."""
    count = min(nearest, len(vectors) - 1)
    if count < 1:
        return []
    near = np.empty((len(vectors), count), np.intp)
    similar = np.empty((len(vectors), count), np.float32)
    step = max(_BLOCK // len(vectors), 1)
    for start in range(0, len(vectors), step):
        block = vectors[start : start + step] @ vectors.T
        own = np.arange(len(block))
        block[own, own + start] = -np.inf
        places = np.argpartition(-block, count - 1, axis=1)[:, :count]
        near[start : start + step] = places
        similar[start : start + step] = block[own[:, None], places]
    return [
        (one, int(two))
        for one in range(len(vectors))
        for two, value in zip(near[one], similar[one], strict=True)
        if one < two and value >= least and one in near[two]
    ]
