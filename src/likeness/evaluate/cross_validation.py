"""What a calibration is worth on people it has not seen: cross-validation by person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.errors import CalibrationError
from likeness.evaluate import metrics
from likeness.evaluate.pairs import fold_people
from likeness.evaluate.probabilities import BINS, STATED_RATES
from likeness.evaluate.sample import choose_people
from likeness.types import Vector

FOLDS = 5
MOST_FACES = 3000
"""It fits five times: of more faces people are drawn."""
Fit = Callable[[Vector, NDArray[np.str_]], Calibration]


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What a calibration says of the pairs `(p,)` of one fold: probability, truth, weight, and matches at each rate."""

    stated: NDArray[np.float64]
    genuine: NDArray[np.bool_]
    weight: NDArray[np.float64]
    matched: dict[float, int]


def cross_validate(
    fit: Fit, vectors: Vector, people: NDArray[np.str_], *, folds: int = FOLDS, seed: int = 0
) -> dict[str, Any] | None:
    """Each fold's people are judged by a calibration that `fit` made of the people of the others.

    Reliability and Brier score are of genuine and impostor pairs as halves, each person's genuine pairs counting
    alike. None where the people do not suffice for two folds.
    """
    chosen = choose_people(people, MOST_FACES, seed)
    vectors, people = vectors[chosen], people[chosen]
    _, codes = np.unique(people, return_inverse=True)
    home = fold_people(codes, seed, folds)[codes]
    held = [
        judged
        for fold in range(int(home.max()) + 1)
        if (judged := _judge_fold(fit, vectors, people, home == fold)) is not None
    ]
    if len(held) < 2:
        return None
    found = metrics.reliability(
        np.concatenate([each.stated for each in held]),
        np.concatenate([each.genuine for each in held]),
        weights=np.concatenate([each.weight for each in held]),
        bins=BINS,
    )
    shares = {"stated": found.stated, "observed": found.observed, "weight": found.weight}
    return {
        "folds": len(held),
        "expected_calibration_error": found.error,
        "brier": found.brier,
        "reliability": {name: [round(value, 5) for value in values] for name, values in shares.items()},
        "false_match_rates": _observed(held),
    }


def _judge_fold(fit: Fit, vectors: Vector, people: NDArray[np.str_], held: NDArray[np.bool_]) -> _Held | None:
    """None where the fold has pairs of one kind only, or the others give too few pairs for a calibration."""
    first, second = np.triu_indices(int(held.sum()), 1)
    owner = people[held][first]
    genuine = owner == people[held][second]
    if not genuine.any() or genuine.all():
        return None
    try:
        calibration = fit(vectors[~held], people[~held])
    except CalibrationError:
        return None
    scores = (vectors[held] @ vectors[held].T)[first, second].astype(np.float64)
    _, place, pairs = np.unique(owner[genuine], return_inverse=True, return_counts=True)
    weight = np.full(len(scores), 1 / (~genuine).sum())
    weight[genuine] = 1 / pairs[place] / len(pairs)
    impostor = scores[~genuine]
    matched = {
        rate: int((impostor >= calibration.threshold(rate)).sum())
        for rate in STATED_RATES
        if rate >= calibration.finest_rate
    }
    return _Held(calibration.probability(scores), genuine, weight, matched)


def _observed(held: list[_Held]) -> list[dict[str, Any]]:
    """Stated against observed false-match rates, over the folds that support a rate."""
    rows = []
    for rate in STATED_RATES:
        able = [each for each in held if rate in each.matched]
        pairs = sum(int((~each.genuine).sum()) for each in able)
        if pairs:
            matched = sum(each.matched[rate] for each in able)
            rows.append({"stated": rate, "observed": matched / pairs, "matched": matched, "impostor_pairs": pairs})
    return rows
