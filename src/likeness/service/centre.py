"""Many embeddings of one person as one: a robust centre, without those that are not like the others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.types import Vector

ROUNDS = 3
DEVIATIONS = 3.5
_NORMAL = 1.4826
"""From the median absolute deviation to the standard deviation of a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Centre:
    """The middle of embeddings.

    Attributes:
        vector: `(d,)` float32 of unit length: the weighted mean of the embeddings that belong together.
        belongs: `(n,)` bool, which those are.
        cosines: `(n,)` of each embedding to the middle.
    """

    vector: Vector
    belongs: NDArray[np.bool_]
    cosines: Vector


def robust_centre(vectors: Vector, weights: NDArray[np.float64], *, same_from: float) -> Centre:
    """The middle of `vectors` `(n, d)` of unit length, weighted by `weights` `(n,)`, which are not all zero.

    It begins at the embedding whose median cosine to all is largest (the medoid), as more than half of them must be
    wrong before that one is. What is less like the middle than `same_from` (the cosine from which two faces are taken
    for one person's) is dropped, and so is what lies 3.5 deviations below the median, where the deviations are told by
    their median too (Iglewicz & Hoaglin 1993), but never less than half of the way from `same_from` to 1.
    """
    cosines = vectors @ vectors.T
    own = cosines[int(np.argmax(np.median(cosines, axis=1)))]
    belongs = own >= min(same_from, float(own.max()))
    for _ in range(ROUNDS):
        middle = mean_of(vectors[belongs], weights[belongs])
        own = vectors @ middle
        median = float(np.median(own[belongs]))
        spread = _NORMAL * float(np.median(np.abs(own[belongs] - median)))
        floor = max(same_from, median - max(DEVIATIONS * spread, (1 - same_from) / 2))
        new = own >= min(floor, float(own.max()))
        if (new == belongs).all():
            break
        belongs = new
    middle = mean_of(vectors[belongs], weights[belongs])
    return Centre(middle, belongs, vectors @ middle)


def mean_of(vectors: Vector, weights: NDArray[np.float64] | None = None) -> Vector:
    """The mean of `vectors` `(n, d)`, of unit length; equally weighted where there are no weights, or all are zero."""
    given = weights if weights is not None and weights.sum() > 0 else np.ones(len(vectors))
    mean = (given[:, None] * vectors).sum(axis=0)
    unit: Vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    return unit
