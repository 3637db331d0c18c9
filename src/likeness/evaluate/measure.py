"""All protocols on one sample: the part of a report that is figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from likeness.calibration import Calibration
from likeness.data.manifest import Row
from likeness.evaluate.bootstrap import ROUNDS
from likeness.evaluate.classes import Classes, classify
from likeness.evaluate.curves import RATES, name_rate
from likeness.evaluate.groups import group_gaps
from likeness.evaluate.identification import identify_closed, identify_open
from likeness.evaluate.pairs import PairSet
from likeness.evaluate.probabilities import judge_probabilities
from likeness.evaluate.sample import Sample
from likeness.evaluate.triplets import match_triplets
from likeness.evaluate.verification import verify_pairs
from likeness.evaluate.weaknesses import find_weaknesses
from likeness.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Extras:
    """What some protocols need beside embeddings: `rows` (in the sample's order) and `triplets` are for triplets."""

    calibration: Calibration | None = None
    classes: Classes | None = None
    rows: Sequence[Row] = ()
    triplets: Path | None = None


def measure(
    sample: Sample, pairs: PairSet, extras: Extras, settings: Settings, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """The figures of all protocols that the sample allows; `skipped` says why others are missing."""
    similarity = sample.similarities(pairs.first, pairs.second)
    verified = verify_pairs(sample, pairs, similarity, rounds=rounds, seed=seed)
    skipped: dict[str, str] = {}
    figures: dict[str, Any] = {
        "verification": verified,
        "identification": {
            "closed": identify_closed(sample, rounds=rounds, seed=seed),
            "open": identify_open(sample, extras.calibration, settings, rounds=rounds, seed=seed),
        },
    }
    if figures["identification"]["open"] is None:
        skipped["open-set identification"] = "it needs two people with two photos each"
    if extras.rows:
        figures["triplets"] = match_triplets(sample, extras.rows, extras.triplets, rounds=rounds, seed=seed)
    if extras.classes is not None:
        figures["classes"] = classify(sample, extras.classes, rounds=rounds, seed=seed)
        if figures["classes"] is None:
            skipped["class accuracy"] = "no photo shows anybody whom the model's classifier knows"
    else:
        skipped["class accuracy"] = "the model carries no classifier"
    if extras.calibration is not None:
        places = np.concatenate([pairs.first, pairs.second])
        compared = sample.names[np.unique(sample.codes[places[places >= 0]])]
        figures["probabilities"] = judge_probabilities(
            extras.calibration, similarity, pairs.genuine, pairs.weight, compared.tolist()
        )
    else:
        skipped["probabilities"] = "the model carries no calibration; `likeness calibrate` fits one"
    figures["groups"] = _gaps(sample, pairs, similarity, verified, rounds, seed)
    if figures["groups"] is None:
        skipped["group gaps"] = "the photos have no labels of gender, group or age, or too few impostor pairs"
    figures = {name: figure for name, figure in figures.items() if figure is not None} | {"skipped": skipped}
    return figures | {"weaknesses": find_weaknesses(figures)}


def _gaps(
    sample: Sample, pairs: PairSet, similarity: np.ndarray, verified: dict[str, Any], rounds: int, seed: int
) -> dict[str, Any] | None:
    """Group gaps at the threshold of FMR 1e-3, or of 1e-2 where the pairs support no finer."""
    for rate in (1e-3, RATES[0]):
        if name_rate(rate) in verified["threshold_at_fmr"]:
            name = name_rate(rate)
            threshold = verified["threshold_at_fmr"][name]
            return group_gaps(sample, pairs, similarity, threshold, name, rounds=rounds, seed=seed)
    return None
