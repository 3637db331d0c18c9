"""Fitting a calibration on photos of known people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration, fit
from likeness.types import Vector

MAX_FACES = 6000


def calibrate(space: str, vectors: Vector, people: NDArray[np.str_], data: str) -> Calibration:
    """Fit on all pairs among embeddings `(n, d)` of `people` `(n,)`; each person's genuine pairs count alike in sum.

    Raises:
        CalibrationError: too few pairs of either kind.
        ValueError: more than 6,000 faces (the number of pairs grows with the square): choose fewer.
    """
    if len(vectors) > MAX_FACES:
        raise ValueError(f"expected at most {MAX_FACES} faces, got {len(vectors)}")
    first, second = np.triu_indices(len(vectors), 1)
    scores = (vectors @ vectors.T)[first, second]
    same = people[first] == people[second]
    _, owner, pairs = np.unique(people[first][same], return_inverse=True, return_counts=True)
    return fit(
        space,
        scores[same],
        scores[~same],
        genuine_weights=1 / pairs[owner],
        people=len(np.unique(people)),
        data=data,
        notes={"faces": len(vectors), "people_with_genuine_pairs": len(pairs)},
    )
