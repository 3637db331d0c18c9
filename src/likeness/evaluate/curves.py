"""ROC curves with weights, and the figures read off them; numpy only, checked against scikit-learn.

A curve is two arrays from (0, 0) to (1, 1): the share of impostor pairs and of genuine pairs that are at least as
similar as each threshold, thresholds falling.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.calibration import PAIRS_BEHIND_A_RATE
from likeness.evaluate.pairs import PairSet

Floats = NDArray[np.float64]
RATES = (1e-2, 1e-3, 1e-4, 1e-5)
BINS = 20_000


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Thresholds `(t,)` falling, +∞ first, with the false-match and true-accept rate at each."""

    thresholds: Floats
    fmr: Floats
    tar: Floats


def roc(similarity: Floats, genuine: NDArray[np.bool_], weight: Floats) -> Curve:
    """The exact curve of pairs `(p,)`, one point for each similarity that occurs; −∞ is matched by no threshold."""
    order = np.argsort(-similarity, kind="stable")
    ordered, same = similarity[order], genuine[order]
    ends = np.append(np.nonzero(ordered[1:] != ordered[:-1])[0], len(ordered) - 1)
    true = np.cumsum(np.where(same, weight[order], 0.0))[ends]
    wrong = np.cumsum(np.where(same, 0.0, weight[order]))[ends]
    return Curve(
        np.concatenate([[np.inf], ordered[ends]]),
        np.concatenate([[0.0], wrong / wrong[-1]]),
        np.concatenate([[0.0], true / true[-1]]),
    )


def tar_at(curve: Curve, fmr: float) -> tuple[float, float]:
    """The true-accept rate where at most `fmr` of impostor pairs match, and the threshold there."""
    place = int(np.searchsorted(curve.fmr, fmr + 1e-12, side="right")) - 1
    return float(curve.tar[place]), float(curve.thresholds[place])


def equal_error(curve: Curve) -> float:
    """Where the false-match and the false-non-match rate meet (their mean at the nearest crossing)."""
    missed = 1 - curve.tar
    nearest = int(np.argmin(np.abs(missed - curve.fmr)))
    return float((missed[nearest] + curve.fmr[nearest]) / 2)


def area(curve: Curve) -> float:
    """Area under the ROC curve: how often a genuine pair is more similar than an impostor pair, ties as halves."""
    return float(np.trapezoid(curve.tar, curve.fmr))


def supported_rates(impostors: int) -> tuple[list[float], dict[str, str]]:
    """The rates of `RATES` behind which 30 impostor pairs or more stand, and of the others why they are refused."""
    supported = [rate for rate in RATES if impostors * rate >= PAIRS_BEHIND_A_RATE]
    refused = {
        name_rate(rate): f"needs {PAIRS_BEHIND_A_RATE / rate:,.0f} impostor pairs, there are {impostors:,}"
        for rate in RATES
        if rate not in supported
    }
    return supported, refused


def name_rate(rate: float) -> str:
    """`1e-03`: how a rate is called in reports."""
    return f"{rate:.0e}"


def thin(curve: Curve, impostors: int, points: int = 160) -> dict[str, list[float]]:
    """The curve on false-match rates evenly spaced in the logarithm, for pictures: `fmr` and `tar`."""
    grid = np.geomspace(1 / max(impostors, 2), 1, points)
    places = np.searchsorted(curve.fmr, grid + 1e-12, side="right") - 1
    return {"fmr": [float(f"{x:.5g}") for x in grid], "tar": [float(f"{x:.6g}") for x in curve.tar[places]]}


def histogram(
    similarity: Floats, genuine: NDArray[np.bool_], weight: Floats, bins: int = 90
) -> dict[str, list[float]] | None:
    """Shares of genuine and of impostor pairs by similarity, for pictures; None where no pair has faces."""
    found = np.isfinite(similarity)
    if not found.any():
        return None
    edges = np.linspace(float(similarity[found].min()), max(1.0, float(similarity[found].max())), bins + 1)
    shares = {}
    for name, kind in (("genuine", found & genuine), ("impostor", found & ~genuine)):
        counts = np.histogram(similarity[kind], edges, weights=weight[kind])[0]
        shares[name] = [float(f"{x:.5g}") for x in counts / max(counts.sum(), 1e-300)]
    return {"edges": [float(f"{x:.5g}") for x in edges], **shares}


def deviate(rate: ArrayLike) -> Floats:
    """Normal deviates of rates in (0, 1): the axes of a DET curve. Martin et al. 1997."""
    normal = NormalDist()
    clipped = np.clip(np.asarray(rate, np.float64), 1e-9, 1 - 1e-9)
    return np.array([normal.inv_cdf(float(value)) for value in clipped.ravel()]).reshape(clipped.shape)


class Binned:
    """Pairs sorted into fine bins of similarity once, so that each round of a bootstrap is quick.

    Figures differ from the exact ones by what falls into one bin, 1e-4 of similarity.
    """

    def __init__(self, pairs: PairSet, similarity: Floats, people: NDArray[np.intp]) -> None:
        # A pair is resampled with its people; of a photo that is not there nobody knows whose it is.
        one, two = (np.where(places >= 0, people[places], -1) for places in (pairs.first, pairs.second))
        same = pairs.genuine
        self._one, self._two = one, np.where(same, -1, two)
        self._one = np.where(same & (one < 0), two, self._one)
        bins = np.nan_to_num((np.minimum(similarity, 1.0) + 1) / 2 * BINS, neginf=-1.0)
        # From the most similar down, so that running sums are rates; the last bin has no faces.
        self._bin = np.where(np.isfinite(similarity), BINS - np.clip(bins, 0, BINS).astype(np.intp), BINS + 1)
        self._weight, self._balanced = pairs.weight, pairs.balanced
        self._folds = int(pairs.fold.max()) + 1 if len(pairs.fold) else 0
        # Of impostor and of genuine pairs: which they are, their bins, those in folds, and those's places in a table.
        self._kinds = []
        for kind in (False, True):
            chosen = np.nonzero(same == kind)[0]
            held = chosen[pairs.fold[chosen] >= 0]
            places = pairs.fold[held] * (BINS + 2) + self._bin[held]
            self._kinds.append((chosen, self._bin[chosen], held, places))

    def weights(self, counts: Floats | None) -> Floats:
        """Each pair's weight where person k was drawn `counts[k]` times; None for everybody once."""
        if counts is None:
            return self._weight
        padded = np.append(counts, 1.0)  # place −1
        weights: Floats = self._weight * padded[self._one] * padded[self._two]
        return weights

    def curve(self, weights: Floats) -> Curve | None:
        """The curve of the pairs with these weights; None where a kind has none."""
        sums = [np.bincount(bins, weights[chosen], BINS + 2).cumsum() for chosen, bins, _, _ in self._kinds]
        if min(each[-1] for each in sums) <= 0:
            return None
        thresholds = np.concatenate([[np.inf], 1 - 2 * np.arange(BINS + 1) / BINS, [-np.inf]])
        fmr, tar = (np.concatenate([[0.0], each / each[-1]]) for each in sums)
        return Curve(thresholds, fmr, tar)

    def accuracy(self, weights: Floats) -> tuple[float, ...] | None:
        """Accuracy of each fold at the threshold that is best on the others; pairs without faces count as errors."""
        if self._folds < 2:
            return None
        table = np.zeros((2, self._folds, BINS + 2))
        for kind, (_, _, held, places) in enumerate(self._kinds):
            sums = np.bincount(places, weights[held], self._folds * (BINS + 2)).reshape(self._folds, -1)
            table[kind] = sums / max(sums.sum(), 1e-300) if self._balanced else sums
        return tuple(self._held_out(table, fold) for fold in range(self._folds) if table[:, fold].sum() > 0)

    def _held_out(self, table: Floats, fold: int) -> float:
        impostor, genuine = table.sum(axis=1) - table[:, fold]
        # Right answers when everything up to a bin is called genuine; the last bin's pairs have no faces.
        right = np.cumsum(genuine[:-1]) + impostor[:-1].sum() - np.cumsum(impostor[:-1])
        # Ties are many between two similarities: their middle, as the exact metric has it.
        best = np.nonzero(right >= right.max() - 1e-12)[0]
        run = best[: int(np.argmax(np.append(np.diff(best) > 1, True))) + 1]
        cut = int(run[len(run) // 2])
        wrong, same = table[0, fold], table[1, fold]
        hits = same[: cut + 1].sum() + wrong[cut + 1 : -1].sum()
        total = wrong.sum() + same.sum()
        return float(hits / total)
