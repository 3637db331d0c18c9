"""Whether a new network is better than an old one for the same photos: figures of both, and an honest word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likeness.types import Vector

ROUNDS = 2000
LEAST_PEOPLE = 6
"""Of fewer all may gain by chance: five of five do so, one way or the other, once in sixteen times."""
Word = Literal["better", "worse", "no clear difference"]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Standing:
    """Means over probes: how often the nearest photo shows the right person, and how often a genuine photo is nearer.

    `match_accuracy` is, over all pairs of a genuine and an impostor photo, the share in which the genuine is nearer.
    """

    rank_1: float
    match_accuracy: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Old and new on the same probes, with 95% intervals of the difference, resampled by person.

    Attributes:
        of: which photos, in words. people, probes: how many.
    """

    of: str
    people: int
    probes: int
    old: Standing
    new: Standing
    rank_1_gain: Interval
    match_accuracy_gain: Interval

    @property
    def word(self) -> Word:
        """`better` or `worse` only where an interval leaves out zero and the other does not say the opposite.

        Of fewer than six people no interval by resampling can be trusted.
        """
        gains = (self.rank_1_gain, self.match_accuracy_gain)
        up, down = any(low > 0 for low, _ in gains), any(high < 0 for _, high in gains)
        if up == down or self.people < LEAST_PEOPLE:
            return "no clear difference"
        return "better" if up else "worse"

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self) | {"verdict": self.word}


@dataclass(frozen=True, eq=False)
class Views:
    """Unit embeddings of the same photos by both networks: `(n, d_old)` and `(n, d_new)`."""

    old: Vector
    new: Vector


def compare(
    of: str,
    probes: Views,
    probe_people: Sequence[str],
    gallery: Views | None,
    gallery_people: Sequence[str] = (),
    *,
    seed: int = 0,
) -> Comparison:
    """Compare on probes against a gallery; without one, against all other probes.

    Probes without a genuine or without an impostor photo to compare with are left out.

    Raises:
        ValueError: none is left.
    """
    people = np.array(probe_people)
    others = people if gallery is None else np.array(gallery_people)
    scores = [
        _score(mine, mine if gallery is None else its, people, others, alone=gallery is None)
        for mine, its in ((probes.old, gallery and gallery.old), (probes.new, gallery and gallery.new))
    ]
    kept = np.isfinite(scores[0][1])
    if not kept.any():
        raise ValueError("expected probes with a genuine and an impostor photo to compare with")
    (old_right, old_match), (new_right, new_match) = ((right[kept], match[kept]) for right, match in scores)
    _, owner = np.unique(people[kept], return_inverse=True)
    return Comparison(
        of=of,
        people=int(owner.max()) + 1,
        probes=int(kept.sum()),
        old=Standing(float(old_right.mean()), float(old_match.mean())),
        new=Standing(float(new_right.mean()), float(new_match.mean())),
        rank_1_gain=_interval(new_right - old_right, owner, seed),
        match_accuracy_gain=_interval(new_match - old_match, owner, seed),
    )


def _score(
    probes: Vector, gallery: Any, people: NDArray[np.str_], others: NDArray[np.str_], *, alone: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Of each probe whether the nearest is right, and its share of right pairs; NaN where it has none."""
    table = (probes @ gallery.T).astype(np.float64)
    right, match = np.zeros(len(probes)), np.full(len(probes), np.nan)
    for at, row in enumerate(table):
        same = others == people[at]
        counted = np.ones(len(others), bool)
        if alone:
            counted[at] = False
        genuine, impostor = row[same & counted], row[~same & counted]
        if not len(genuine) or not len(impostor):
            continue
        right[at] = genuine.max() > impostor.max()
        pairs = genuine[:, None] - impostor[None, :]
        match[at] = ((pairs > 0) + 0.5 * (pairs == 0)).mean()
    return right, match


def _interval(gain: NDArray[np.float64], owner: NDArray[np.intp], seed: int) -> Interval:
    """95% interval of the mean gain over probes, people drawn with replacement. Efron 1979."""
    sums, counts = np.bincount(owner, gain), np.bincount(owner)
    random = np.random.default_rng(seed)
    drawn = random.integers(0, len(sums), (ROUNDS, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
