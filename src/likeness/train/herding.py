"""Which of a person's photos to keep: those whose mean is nearest to the mean of all."""

from __future__ import annotations

import numpy as np

from likeness.errors import InputError
from likeness.types import Vector


def herd(embeddings: Vector, most: int) -> list[int]:
    """Places of at most so many of the unit `embeddings` `(n, d)`, the most telling first.

    The k-th is argmin over those left of ‖μ − (φ(x) + Σ chosen) / k‖, with μ the mean of all: every beginning of the
    list is a good choice of its length. Herding: Welling 2009; Rebuffi et al. 2017, "iCaRL", algorithm 4.
    """
    mean = embeddings.mean(axis=0, dtype=np.float64)
    total, left, chosen = np.zeros_like(mean), list(range(len(embeddings))), list[int]()
    while left and len(chosen) < most:
        apart = np.linalg.norm(mean - (embeddings[left] + total) / (len(chosen) + 1), axis=1)
        best = left.pop(int(apart.argmin()))
        total += embeddings[best]
        chosen.append(best)
    return chosen


def share_of_each(budget: int, people: int) -> int:
    """How many exemplars each person has of the `budget` of all.

    Raises:
        InputError: not even one.
    """
    if budget < people:
        raise InputError(
            f"the memory has room for {budget} exemplars and would have {people} people",
            hint=f"give it more room: --exemplars {4 * people}",
        )
    return budget // max(people, 1)
