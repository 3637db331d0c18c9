"""How well a network tells people apart who are not among those it learns, while it learns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.evaluate.metrics import equal_error_rate
from likeness.types import Vector


def separation(embeddings: Vector, people: NDArray[np.intp]) -> dict[str, float]:
    """Figures over all pairs of unit embeddings `(n, d)` of `people` `(n,)`.

    `equal_error_rate`: see `likeness.evaluate.metrics`. `match_accuracy`: how often a genuine pair is more similar
    than an impostor pair, which is the area under the ROC curve and the share of right triplets, over all of them.
    """
    first, second = np.triu_indices(len(embeddings), 1)
    scores = (embeddings @ embeddings.T)[first, second].astype(np.float64)
    same = people[first] == people[second]
    genuine, impostor = scores[same], np.sort(scores[~same])
    below = np.searchsorted(impostor, genuine, side="left")
    ties = np.searchsorted(impostor, genuine, side="right") - below
    return {
        "equal_error_rate": equal_error_rate(genuine, impostor),
        "match_accuracy": float((below + ties / 2).mean() / len(impostor)),
    }
