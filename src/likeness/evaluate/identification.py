"""Identification: whose photo is this, among many.

Closed set: everybody asked about is enrolled; rank k is the share of probes whose person is among the k nearest, and
over k that is the cumulative match characteristic. Open set: some who ask are strangers; the detection and
identification rate (DIR) is the share of probes that are nearest to their own person and reach the threshold that a
stated share of strangers (FPIR) reaches too (Grother & Ngan, NISTIR 8009; FNIR = 1 − DIR).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import PAIRS_BEHIND_A_RATE, Calibration
from likeness.evaluate.bootstrap import ROUNDS, draw_people, interval, share_interval
from likeness.evaluate.protocols import Search, open_set, open_set_split
from likeness.evaluate.sample import Sample
from likeness.settings import Settings

RANKS = 20
DRAWS = 10
"""So often the people are halved anew into enrolled people and strangers."""
OPEN_RATES = (1e-2, 1e-1)
CHUNK = 2000
NOWHERE = 1 << 30
"""The rank of who is not found at all."""
Places = NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Of each probe `(m,)`: similarity of the nearest enrolled photo, and the rank of its own person (1 is best)."""

    similarity: NDArray[np.float64]
    rank: Places


def nearest_of(sample: Sample, probes: Places, enrolled: Places) -> Nearest:
    """Search each probe among enrolled photos, one a person.

    A tie counts against the probe. Its rank is past all others where it, or its person's photo, has no face, or its
    person is not enrolled.
    """
    vectors, found = sample.embedded.vectors, sample.embedded.found
    home = np.full(len(sample.names), -1, np.intp)
    home[sample.codes[enrolled]] = np.arange(len(enrolled))
    top, rank = np.full(len(probes), -np.inf), np.full(len(probes), NOWHERE, np.intp)
    for start in range(0, len(probes), CHUNK):
        part = probes[start : start + CHUNK]
        table = vectors[part] @ vectors[enrolled].T
        table[:, ~found[enrolled]] = -np.inf
        own = home[sample.codes[part]]
        score = np.take_along_axis(table, np.maximum(own, 0)[:, None], axis=1)
        known = found[part] & (own >= 0) & np.isfinite(score[:, 0])
        place = slice(start, start + len(part))
        top[place] = np.where(found[part], table.max(axis=1), -np.inf)
        rank[place] = np.where(known, (table >= score).sum(axis=1), NOWHERE)
    return Nearest(top, rank)


def identify_closed(sample: Sample, *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any] | None:
    """Everybody with two photos or more enrols the first; the others are probes. None where nobody has two."""
    split = open_set_split(sample.people, np.ones(len(sample.people), bool))
    if not len(split.probes):
        return None
    rank = nearest_of(sample, split.probes, split.gallery).rank
    people = sample.codes[split.probes]
    totals = np.bincount(people, minlength=len(sample.names))
    asked = totals > 0

    def share(at: int) -> dict[str, Any]:
        hits = np.bincount(people, rank <= at, len(sample.names))
        return {
            f"rank_{at}": float((rank <= at).mean()),
            f"rank_{at}_interval": share_interval(hits[asked], totals[asked], rounds=rounds, seed=seed),
            f"rank_{at}_each_person_alike": float((hits[asked] / totals[asked]).mean()),
        }

    return {
        "protocol": "the first photo of each person with several is enrolled, their other photos are searched",
        "enrolled": len(split.gallery),
        "probes": len(rank),
        "chance": 1 / len(split.gallery),
        **share(1),
        **share(5),
        "cmc": [float((rank <= at).mean()) for at in range(1, min(RANKS, len(split.gallery)) + 1)],
    }


def identify_open(
    sample: Sample, calibration: Calibration | None, settings: Settings, *, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any] | None:
    """Half of the people are enrolled by their first photo, the other half are strangers, drawn anew several times.

    With a calibration also what the product itself answers by default. None where too few people have two photos.
    """
    splits = [halve(sample, [seed, draw]) for draw in range(DRAWS)]
    if any(not len(split.probes) or not len(split.strangers) for split in splits):
        return None
    figures: dict[float, list[float]] = {rate: [] for rate in OPEN_RATES}
    resampled: dict[float, list[float]] = {rate: [] for rate in OPEN_RATES}
    for draw, split in enumerate(splits):
        known = nearest_of(sample, split.probes, split.gallery)
        strange = nearest_of(sample, split.strangers, split.gallery)
        people = sample.codes[np.concatenate([split.probes, split.strangers])]
        everybody = np.ones(len(sample.names))
        for rate in OPEN_RATES:
            figures[rate].append(_detected(known, strange.similarity, everybody[people], rate))
            for counts in draw_people(len(sample.names), max(rounds // DRAWS, 1), seed + draw + 1):
                resampled[rate].append(_detected(known, strange.similarity, counts[people], rate))
    strangers = int(np.mean([len(split.strangers) for split in splits]))
    report: dict[str, Any] = {
        "protocol": f"half of the people enrolled by their first photo, the others strangers; mean of {DRAWS} draws",
        "enrolled": int(np.mean([len(split.gallery) for split in splits])),
        "probes": int(np.mean([len(split.probes) for split in splits])),
        "strangers": strangers,
        "dir_at_fpir": {f"{rate:g}": float(np.mean(figures[rate])) for rate in OPEN_RATES},
        "dir_at_fpir_interval": {f"{rate:g}": interval(resampled[rate]) for rate in OPEN_RATES},
        "fnir_at_fpir": {f"{rate:g}": 1 - float(np.mean(figures[rate])) for rate in OPEN_RATES},
        "rough_rates": [f"{rate:g}" for rate in OPEN_RATES if rate * strangers < PAIRS_BEHIND_A_RATE],
    }
    if calibration is not None:
        report["default"] = _default(sample, splits, calibration, settings)
    return report


def _default(sample: Sample, splits: Sequence[Search], calibration: Calibration, settings: Settings) -> dict[str, Any]:
    """What the product answers, as the mean over the draws; `…_range` is the least and the most of a draw."""
    found = [open_set(sample.people, sample.embedded, split, calibration, settings)["default"] for split in splits]
    means = {
        name: float(np.mean([each[name] for each in found]))
        for name, value in found[0].items()
        if isinstance(value, float)
    }
    named = [each["false_positive_identification_rate"] for each in found]
    return means | {"false_positive_identification_range": (min(named), max(named))}


def halve(sample: Sample, seed: list[int]) -> Search:
    """People with several photos are halved: one half enrols its first photos; all others are strangers."""
    split = open_set_split(sample.people, np.ones(len(sample.people), bool))
    several = sample.codes[split.gallery]
    order = np.random.default_rng([*seed, 4]).permutation(len(several))
    known = np.isin(np.arange(len(sample.names)), several[order[: len(several) // 2]])
    strangers = np.nonzero(~known[sample.codes])[0]
    return Search(
        split.gallery[known[sample.codes[split.gallery]]], split.probes[known[sample.codes[split.probes]]], strangers
    )


def _detected(known: Nearest, strange: NDArray[np.float64], weight: NDArray[np.float64], rate: float) -> float:
    """DIR where at most `rate` of strangers are named; weights are of the probes, then of the strangers."""
    probes, strangers = weight[: len(known.rank)], weight[len(known.rank) :]
    if not probes.sum() or not strangers.sum():
        return float("nan")
    order = np.argsort(-strange, kind="stable")
    named = np.cumsum(strangers[order]) / strangers.sum()
    # The first stranger who must not be named sets the threshold: above them only.
    place = int(np.searchsorted(named, rate + 1e-12, side="right"))
    limit = strange[order[place]] if place < len(order) else -np.inf
    right = (known.rank == 1) & (known.similarity > limit)
    return float(probes @ right / probes.sum())
