"""Intervals by resampling people: Efron 1979, "Bootstrap methods"; percentiles of figures on people drawn again.

Photos of one person are alike, and so are all pairs with that person: what is drawn again is people, never photos or
pairs, or the intervals would be far too narrow. A pair of one person counts as often as the person was drawn, a pair
of two people as often as both were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDS = 200
"""Rounds unless said; the ends of a 95% interval then rest on five rounds each."""


def draw_people(people: int, rounds: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """For each round, how often each person `(people,)` was drawn; the sum is always `people`."""
    rng = np.random.default_rng([seed, people])
    for _ in range(rounds):
        yield np.bincount(rng.integers(0, people, people), minlength=people).astype(np.float64)


def interval(values: Iterable[float]) -> tuple[float, float] | None:
    """The middle 95% of the rounds' figures; None where most rounds gave none (NaN)."""
    found = np.array(list(values), np.float64)
    finite = found[np.isfinite(found)]
    if not len(finite) or len(finite) < len(found) / 2:
        return None
    low, high = np.percentile(finite, [2.5, 97.5])
    return float(low), float(high)


def share_interval(
    hits: ArrayLike, totals: ArrayLike, *, rounds: int = ROUNDS, seed: int = 0
) -> tuple[float, float] | None:
    """Interval of Σ hits / Σ totals, where both `(k,)` are sums over each person's own trials."""
    right, tried = np.asarray(hits, np.float64), np.asarray(totals, np.float64)
    if not tried.sum():
        return None
    shares = []
    for counts in draw_people(len(tried), rounds, seed):
        total = float(counts @ tried)
        shares.append(float(counts @ right) / total if total else np.nan)
    return interval(shares)
