"""Protocols on LFW: verification by the official pairs, and open-set identification."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.decision import LIKELY, VERIFICATION_FMR
from likeness.evaluate import metrics
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.lfw import Lfw
from likeness.recognizer import CANDIDATES
from likeness.settings import Settings


def similarities(embedded: Embedded, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
    """Cosine of each pair `(p,)`; −inf where a face was not found."""
    cosine = np.einsum("pd,pd->p", embedded.vectors[first], embedded.vectors[second]).astype(np.float64)
    return np.where(embedded.found[first] & embedded.found[second], cosine, -np.inf)


def verification(lfw: Lfw, embedded: Embedded, calibration: Calibration | None, settings: Settings) -> dict[str, Any]:
    """The official ten folds: accuracy, TAR at FMR, equal error rate, and how true the probabilities are."""
    pairs = lfw.pairs
    found = embedded.found[pairs.first] & embedded.found[pairs.second]
    scores = similarities(embedded, pairs.first, pairs.second)
    folds = metrics.fold_accuracy(scores, pairs.genuine, pairs.fold, found)
    genuine, impostor = scores[pairs.genuine], scores[~pairs.genuine]
    tar, threshold = metrics.tar_at_fmr(genuine, impostor, 1e-3)
    report: dict[str, Any] = {
        "pairs": len(scores),
        "pairs_without_a_face": int((~found).sum()),
        "accuracy": folds.mean,
        "accuracy_standard_error": folds.standard_error,
        "accuracy_by_fold": folds.each,
        "tar_at_fmr_1e-3": tar,
        "tar_threshold": threshold,
        "equal_error_rate": metrics.equal_error_rate(genuine, impostor),
    }
    if calibration is not None:
        report["calibration"] = _verification_calibration(scores[found], pairs.genuine[found], calibration, settings)
    return report


def _verification_calibration(
    scores: NDArray[np.float64], genuine: NDArray[np.bool_], calibration: Calibration, settings: Settings
) -> dict[str, Any]:
    stated = metrics.reliability(calibration.probability(scores, prior=0.5), genuine)
    default = calibration.threshold(settings.fmr or VERIFICATION_FMR)
    return {
        "fitted_on": calibration.data,
        "expected_calibration_error": stated.error,
        "brier": stated.brier,
        "reliability": asdict(stated),
        "default_threshold": default,
        "true_accept_rate_at_default": float((scores[genuine] >= default).mean()),
        "false_match_rate_at_default": float((scores[~genuine] >= default).mean()),
    }


def false_match_rates(lfw: Lfw, embedded: Embedded, calibration: Calibration) -> list[dict[str, float]]:
    """Stated against observed false-match rates, over all pairs of different people among those in the pairs file.

    None of them was used to fit the calibration that came with the bundle.
    """
    chosen = np.nonzero(embedded.found & ~lfw.outside_pairs)[0]
    _, first = np.unique(lfw.people[chosen], return_index=True)
    vectors = embedded.vectors[chosen[first]]
    scores = (vectors @ vectors.T)[np.triu_indices(len(vectors), 1)]
    rows = []
    for rate in (1e-2, 1e-3, 1e-4, calibration.finest_rate):
        threshold = calibration.threshold(rate)
        observed = float((scores >= threshold).mean())
        rows.append({"stated": rate, "threshold": threshold, "observed": observed, "impostor_pairs": len(scores)})
    return rows


@dataclass(frozen=True)
class Search:
    """One open-set experiment: who is enrolled with which photo, and who asks.

    Attributes:
        gallery: `(g,)` photo index of each enrolled person.
        probes: `(m,)` other photos of enrolled people. strangers: `(s,)` photos of people not enrolled.
    """

    gallery: NDArray[np.intp]
    probes: NDArray[np.intp]
    strangers: NDArray[np.intp]


def open_set_split(people: NDArray[np.str_], allowed: NDArray[np.bool_]) -> Search:
    """Each person with two or more photos enrols the first; their other photos and all single photos are probes."""
    gallery: list[int] = []
    probes: list[int] = []
    strangers: list[int] = []
    order = np.nonzero(allowed)[0]
    order = order[np.argsort(people[order], kind="stable")]
    names, starts = np.unique(people[order], return_index=True)
    for group in np.split(order, starts[1:]) if len(names) else []:
        if len(group) > 1:
            gallery.append(group[0])
            probes.extend(group[1:])
        else:
            strangers.extend(group)
    return Search(*(np.array(part, np.intp) for part in (gallery, probes, strangers)))


def open_set(
    people: NDArray[np.str_], embedded: Embedded, search: Search, calibration: Calibration | None, settings: Settings
) -> dict[str, Any]:
    """Rank-1 identification of the enrolled, and what happens to strangers, at the default threshold."""
    enrolled = search.gallery[embedded.found[search.gallery]]
    names = people[enrolled]
    known, known_top = _search(embedded, search.probes, enrolled)
    strange, _ = _search(embedded, search.strangers, enrolled)
    right = (names[known_top[:, 0]] == people[search.probes]) & embedded.found[search.probes]
    low, high = metrics.wilson(int(right.sum()), len(right))
    report: dict[str, Any] = {
        "enrolled": len(search.gallery),
        "probes": len(search.probes),
        "strangers": len(search.strangers),
        "photos_without_a_face": int((~embedded.found).sum()),
        "rank_1": float(right.mean()),
        "rank_1_interval": (low, high),
    }
    if calibration is not None:
        report["default"] = _at_default(known, right, strange, len(enrolled), calibration, settings)
    return report


def _search(
    embedded: Embedded, probes: NDArray[np.intp], enrolled: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Similarity and place of the nearest enrolled photos of each probe `(m, k)`; −inf for probes without a face."""
    count = min(CANDIDATES, len(enrolled))
    scores, places = [], []
    for start in range(0, len(probes), 1000):
        part = probes[start : start + 1000]
        table = embedded.vectors[part] @ embedded.vectors[enrolled].T
        best = np.argsort(-table, axis=1)[:, :count]
        found = embedded.found[part][:, None]
        scores.append(np.where(found, np.take_along_axis(table, best, axis=1), -np.inf))
        places.append(best)
    return np.concatenate(scores).astype(np.float64), np.concatenate(places)


def _at_default(
    known: NDArray[np.float64],
    right: NDArray[np.bool_],
    strange: NDArray[np.float64],
    enrolled: int,
    calibration: Calibration,
    settings: Settings,
) -> dict[str, Any]:
    """What the product answers (see `likeness.decision`): a match needs the threshold and the probability."""
    threshold, promise = calibration.search_threshold(settings.fpir, enrolled)
    known_probability = _probabilities(known, enrolled, calibration, settings)
    strange_probability = _probabilities(strange, enrolled, calibration, settings)
    named, unsure = _decide(known[:, 0], known_probability, threshold)
    alarmed, doubted = _decide(strange[:, 0], strange_probability, threshold)
    low, high = metrics.wilson(int(alarmed.sum()), len(alarmed))
    probability = np.concatenate([known_probability, strange_probability])
    outcome = np.concatenate([right, np.zeros(len(strange), bool)])
    # Half the weight on enrolled people and half on strangers: the prior that the probabilities were stated for.
    weights = np.concatenate([np.full(len(group), 0.5 / len(group)) for group in (known, strange)])
    stated = metrics.reliability(probability, outcome, weights=weights)
    return {
        "fpir_asked": settings.fpir,
        "fpir_promised": promise,
        "threshold": threshold,
        "false_positive_identification_rate": float(alarmed.mean()),
        "false_positive_identification_interval": (low, high),
        "strangers_unsure_rate": float(doubted.mean()),
        "true_positive_identification_rate": float((named & right).mean()),
        "wrong_person_rate": float((named & ~right).mean()),
        "unsure_rate": float(unsure.mean()),
        "identification_calibration_error": stated.error,
        "identification_reliability": asdict(stated),
    }


def _probabilities(
    scores: NDArray[np.float64], enrolled: int, calibration: Calibration, settings: Settings
) -> NDArray[np.float64]:
    """Probability of the best candidate of each probe `(n, k)`; 0 for probes without a face."""
    return np.array(
        [
            calibration.search_probabilities(row, enrolled, prior=settings.prior)[0] if np.isfinite(row[0]) else 0.0
            for row in scores
        ]
    )


def _decide(
    score: NDArray[np.float64], probability: NDArray[np.float64], threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Who is named, and of whom the answer is `unsure`."""
    rare, likely = score >= threshold, probability >= LIKELY
    return rare & likely, rare ^ likely
