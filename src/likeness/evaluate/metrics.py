"""Figures of merit for verification, identification and calibration; numpy only, checked against naive loops.

A face that was not found has similarity −inf: a genuine pair with it is missed at every threshold, an impostor pair
with it is never taken for a match.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Folds:
    """Accuracy over folds: mean, standard error of the mean, each fold's, and the thresholds that were used."""

    mean: float
    standard_error: float
    each: tuple[float, ...]
    thresholds: tuple[float, ...]


def fold_accuracy(
    similarity: Floats, genuine: Flags, fold: NDArray[np.intp], found: Flags, *, weights: Floats | None = None
) -> Folds:
    """Accuracy on each fold at the threshold that is best on the others; pairs not `found` count as errors.

    The protocol of LFW's view 2. All arrays are `(p,)`; `weights` state how much each pair counts.
    """
    weight = np.ones(len(similarity)) if weights is None else weights
    accuracies, thresholds = [], []
    for number in np.unique(fold):
        held = fold == number
        others = ~held & found
        threshold = best_threshold(similarity[others], genuine[others], weight[others])
        right = ((similarity[held] >= threshold) == genuine[held]) & found[held]
        accuracies.append(float((right * weight[held]).sum() / weight[held].sum()))
        thresholds.append(threshold)
    error = float(np.std(accuracies, ddof=1) / np.sqrt(len(accuracies))) if len(accuracies) > 1 else 0.0
    return Folds(float(np.mean(accuracies)), error, tuple(accuracies), tuple(thresholds))


def best_threshold(similarity: Floats, genuine: Flags, weights: Floats | None = None) -> float:
    """The threshold (pairs at or above it count as genuine) with the most right answers, midway between scores."""
    order = np.argsort(-similarity, kind="stable")
    ordered, same = similarity[order], genuine[order]
    weight = np.ones(len(order)) if weights is None else weights[order]
    # Right answers when the first k pairs are called genuine, for k = 0 … n; only between different scores.
    gained = np.concatenate([[0.0], np.cumsum(np.where(same, weight, -weight))])
    right = gained + weight[~same].sum()
    cuts = np.concatenate([[True], np.diff(ordered) < 0, [True]])
    best = int(np.argmax(np.where(cuts, right, -1)))
    if best == 0:
        return float(np.nextafter(ordered[0], np.inf))
    return float(ordered[best - 1] if best == len(ordered) else (ordered[best - 1] + ordered[best]) / 2)


def tar_at_fmr(genuine: ArrayLike, impostor: ArrayLike, fmr: float) -> tuple[float, float]:
    """True-accept rate at a false-match rate, and the threshold: the lowest at which at most `fmr` of impostors match.

    Raises:
        ValueError: there are fewer than 1 / `fmr` impostor pairs.
    """
    same, other = np.asarray(genuine, np.float64), np.sort(np.asarray(impostor, np.float64))[::-1]
    allowed = int(np.floor(fmr * len(other) + 1e-9))
    if allowed < 1:
        raise ValueError(f"expected at least {1 / fmr:.0f} impostor pairs for a rate of {fmr}, got {len(other)}")
    threshold = np.nextafter(other[allowed], np.inf) if allowed < len(other) else other[-1]
    return float((same >= threshold).mean()), float(threshold)


def equal_error_rate(genuine: ArrayLike, impostor: ArrayLike) -> float:
    """Where the false-match and the false-non-match rate meet (their mean at the nearest crossing)."""
    same, other = np.sort(np.asarray(genuine, np.float64)), np.sort(np.asarray(impostor, np.float64))
    thresholds = np.unique(np.concatenate([same, other]))
    missed = np.searchsorted(same, thresholds, side="left") / len(same)
    matched = 1 - np.searchsorted(other, thresholds, side="left") / len(other)
    nearest = int(np.argmin(np.abs(missed - matched)))
    return float((missed[nearest] + matched[nearest]) / 2)


@dataclass(frozen=True, slots=True)
class Reliability:
    """Stated against observed: bins of equal mass with their mean probability, share of positives and weight.

    `error` is the expected calibration error (the weighted mean of |stated − observed|), `brier` the mean squared
    difference between probability and outcome.
    """

    stated: tuple[float, ...]
    observed: tuple[float, ...]
    weight: tuple[float, ...]
    error: float
    brier: float


def reliability(probability: Floats, outcome: Flags, *, weights: Floats | None = None, bins: int = 15) -> Reliability:
    """How well probabilities `(n,)` agree with outcomes `(n,)`; `weights` `(n,)` state how much each counts."""
    weight = np.ones(len(probability)) if weights is None else weights
    weight = weight / weight.sum()
    order = np.argsort(probability, kind="stable")
    # Equal probabilities stay in one bin: a bin's edge may not cut through a tie.
    place = np.minimum((np.cumsum(weight[order]) - weight[order] / 2) * bins, bins - 1e-9).astype(int)
    _, first = np.unique(probability[order], return_index=True)
    place = np.repeat(place[first], np.diff(np.append(first, len(order))))
    stated, observed, mass = [], [], []
    for number in np.unique(place):
        chosen = order[place == number]
        share = weight[chosen].sum()
        stated.append(float((weight[chosen] * probability[chosen]).sum() / share))
        observed.append(float((weight[chosen] * outcome[chosen]).sum() / share))
        mass.append(float(share))
    error = float(np.sum(np.array(mass) * np.abs(np.array(stated) - np.array(observed))))
    brier = float((weight * (probability - outcome) ** 2).sum())
    return Reliability(tuple(stated), tuple(observed), tuple(mass), error, brier)


def wilson(hits: int, total: int, *, z: float = 1.96) -> tuple[float, float]:
    """95% interval of a proportion. Wilson 1927."""
    if not total:
        return 0.0, 1.0
    share, square = hits / total, z * z / total
    middle, half = share + square / 2, z * float(np.sqrt(share * (1 - share) / total + square / (4 * total)))
    return (middle - half) / (1 + square), (middle + half) / (1 + square)
