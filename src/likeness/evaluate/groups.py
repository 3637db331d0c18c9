"""Gaps between groups of people: error rates of each group at one threshold for all.

Genuine pairs of a group's people, and impostor pairs within the group (two women, two people of one age): most false
matches happen there, and averages over everybody hide them (Grother, Ngan & Hanaoka 2019, NISTIR 8280).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import PAIRS_BEHIND_A_RATE
from likeness.evaluate.bootstrap import ROUNDS, draw_people, interval
from likeness.evaluate.pairs import PairSet
from likeness.evaluate.sample import Sample

LEAST_PEOPLE = 5
LEAST_PAIRS = 30
Floats = NDArray[np.float64]


def group_gaps(
    sample: Sample,
    pairs: PairSet,
    similarity: Floats,
    threshold: float,
    rate: str,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any] | None:
    """For each label the rates of its groups at `threshold`, the global one at false-match rate `rate`.

    None where the photos have no labels. Groups of fewer than 5 people or 30 impostor pairs are listed without rates.
    """
    if not sample.labels:
        return None
    matched = similarity >= threshold
    table = {
        name: _label(sample, pairs, matched, values, rounds, seed) for name, values in sorted(sample.labels.items())
    }
    return {
        "threshold": threshold,
        "global_fmr": rate,
        "labels": table,
    }


def _label(
    sample: Sample,
    pairs: PairSet,
    matched: NDArray[np.bool_],
    values: NDArray[np.str_],
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    here = (pairs.first >= 0) & (pairs.second >= 0)
    one, two = values[pairs.first], values[pairs.second]
    groups = {}
    for value in sorted(set(values.tolist()) - {""}):
        chosen = here & (one == value) & (two == value)
        people = len(np.unique(sample.codes[values == value]))
        groups[value] = {"people": people, "photos": int((values == value).sum())} | _rates(
            sample, pairs, matched, chosen, people, rounds, seed
        )
    return {"groups": groups, "ratios": ratios(groups)}


def _rates(
    sample: Sample,
    pairs: PairSet,
    matched: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    people: int,
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    same, other = np.nonzero(chosen & pairs.genuine)[0], np.nonzero(chosen & ~pairs.genuine)[0]
    counted: dict[str, Any] = {"genuine_pairs": len(same), "impostor_pairs": len(other)}
    if people < LEAST_PEOPLE or len(other) < LEAST_PAIRS or not len(same):
        return counted | {"tar": None, "fmr": None}
    codes = sample.codes
    owner, weight, accepted = codes[pairs.first[same]], pairs.weight[same], matched[same]
    left, right, taken = codes[pairs.first[other]], codes[pairs.second[other]], matched[other]
    members, place = np.unique(np.concatenate([owner, left, right]), return_inverse=True)
    owner, left, right = np.split(place, [len(same), len(same) + len(other)])
    tars, fmrs = [], []
    for counts in draw_people(len(members), rounds, seed):
        mine, theirs = counts[owner] * weight, counts[left] * counts[right]
        tars.append(float(mine @ accepted / mine.sum()) if mine.sum() else np.nan)
        fmrs.append(float(theirs @ taken / theirs.sum()) if theirs.sum() else np.nan)
    return counted | {
        "tar": float(weight @ accepted / weight.sum()),
        "tar_interval": interval(tars),
        "fmr": float(taken.mean()),
        "fmr_interval": interval(fmrs),
        "false_matches": int(taken.sum()),
        "rough": int(taken.sum()) < PAIRS_BEHIND_A_RATE,
    }


def ratios(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Largest over smallest false-match rate and miss rate of the groups; None where the smallest is 0 or unknown."""
    fmr = [group["fmr"] for group in groups.values() if group["fmr"] is not None]
    missed = [1 - group["tar"] for group in groups.values() if group["tar"] is not None]
    return {"fmr_largest_over_smallest": _ratio(fmr), "miss_rate_largest_over_smallest": _ratio(missed)}


def _ratio(rates: list[float]) -> float | None:
    return max(rates) / min(rates) if len(rates) > 1 and min(rates) > 0 else None
