"""Verification: how well one threshold tells pairs of one person from pairs of two.

Accuracy over folds (the protocol of LFW's view 2: Huang et al. 2007), true-accept rate at stated false-match rates
(ISO/IEC 19795-1), equal error rate and area under the ROC curve; 95% intervals by resampling people.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import DatasetError
from likeness.evaluate import curves, metrics
from likeness.evaluate.bootstrap import ROUNDS, draw_people, interval
from likeness.evaluate.pairs import PairSet
from likeness.evaluate.sample import Sample

Floats = NDArray[np.float64]


def verify_pairs(
    sample: Sample, pairs: PairSet, similarity: Floats, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """All figures of verification; `similarity` `(p,)` is of the pairs.

    Raises:
        DatasetError: the pairs are all of one kind.
    """
    impostors = int((~pairs.genuine).sum())
    if not impostors or impostors == len(pairs.genuine):
        raise DatasetError(
            "the photos give pairs of one person only, or of different people only",
            hint="an evaluation needs two people, one of them with two photos",
        )
    curve = curves.roc(similarity, pairs.genuine, pairs.weight)
    supported, refused = curves.supported_rates(impostors)
    at = {curves.name_rate(rate): curves.tar_at(curve, rate) for rate in supported}
    folds = fold_accuracy(pairs, similarity)
    found = np.isfinite(similarity)
    report: dict[str, Any] = {
        "protocol": pairs.protocol,
        "genuine_pairs": len(pairs.genuine) - impostors,
        "impostor_pairs": impostors,
        "pairs_without_a_face": int((~found).sum()),
        "pairs_left_out": pairs.left_out,
        "accuracy": folds.mean if folds else None,
        "accuracy_standard_error": folds.standard_error if folds else None,
        "accuracy_by_fold": folds.each if folds else (),
        "accuracy_threshold": float(np.mean(folds.thresholds)) if folds else None,
        "equal_error_rate": curves.equal_error(curve),
        "auc": curves.area(curve),
        "tar_at_fmr": {name: tar for name, (tar, _) in at.items()},
        "threshold_at_fmr": {name: threshold for name, (_, threshold) in at.items()},
        "refused_rates": refused,
        "curve": curves.thin(curve, impostors),
        "histogram": curves.histogram(similarity, pairs.genuine, pairs.weight),
    }
    return report | _intervals(sample, pairs, similarity, supported, rounds, seed)


def fold_accuracy(pairs: PairSet, similarity: Floats) -> metrics.Folds | None:
    """Accuracy over the folds; None where there are no two, or the others of one have no faces."""
    held, found = pairs.fold >= 0, np.isfinite(similarity)
    folds = np.unique(pairs.fold[held])
    if len(folds) < 2 or not all((held & found & (pairs.fold != number)).any() for number in folds):
        return None
    weight = pairs.weight[held]
    genuine = pairs.genuine[held]
    if pairs.balanced:
        weight = weight / np.where(genuine, weight[genuine].sum(), weight[~genuine].sum())
    return metrics.fold_accuracy(similarity[held], genuine, pairs.fold[held], found[held], weights=weight)


def _intervals(
    sample: Sample, pairs: PairSet, similarity: Floats, supported: list[float], rounds: int, seed: int
) -> dict[str, Any]:
    binned = curves.Binned(pairs, similarity, sample.codes)
    accuracy, error, auc = [], [], []
    tar: dict[str, list[float]] = {curves.name_rate(rate): [] for rate in supported}
    for counts in draw_people(len(sample.names), rounds, seed):
        weights = binned.weights(counts)
        curve = binned.curve(weights)
        if curve is None:
            continue
        folds = binned.accuracy(weights)
        accuracy.append(float(np.mean(folds)) if folds else np.nan)
        error.append(curves.equal_error(curve))
        auc.append(curves.area(curve))
        for rate in supported:
            tar[curves.name_rate(rate)].append(curves.tar_at(curve, rate)[0])
    return {
        "accuracy_interval": interval(accuracy),
        "equal_error_rate_interval": interval(error),
        "auc_interval": interval(auc),
        "tar_at_fmr_interval": {name: interval(values) for name, values in tar.items()},
    }
