"""How true the bundle's stated probabilities and false-match rates are, and whether they may be called honest.

Honest is only what was measured on people whom the calibration has not seen. A calibration's notes may carry salted
digests of its people, by which people can be recognised but no name be read.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.data.splits import person_key
from likeness.evaluate import metrics

Floats = NDArray[np.float64]
STATED_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
BINS = 50
"""Most pairs are certain: of fewer bins nearly all would stand at 0 and 1."""


def digest_people(people: Iterable[str]) -> str:
    """Hex digest of a set of people: the same people give the same, in whatever order and writing they come."""
    return hashlib.sha256("\n".join(sorted({person_key(person) for person in people})).encode()).hexdigest()


def hash_people(people: Iterable[str], *, salt: str | None = None) -> dict[str, Any]:
    """Salted digests of people, shuffled by sorting: who has a name can ask for it, nobody can read one."""
    salt = secrets.token_hex(8) if salt is None else salt
    return {"salt": salt, "digests": sorted(_hash(person, salt) for person in set(people))}


def people_of_calibration(calibration: Calibration, people: Iterable[str]) -> int | None:
    """How many of these people the calibration was fitted on; None where it does not say.

    A bundle's notes are anybody's to write: where they are not of the known form it does not say.
    """
    noted = calibration.notes.get("people_hashes")
    if not isinstance(noted, dict) or len(_digests(noted)) != calibration.people:
        return None
    return noted_among(noted, people)


def noted_among(noted: Any, names: Iterable[str]) -> int | None:
    """How many of these names have their digest in what `hash_people` gave; None where that is not of its form."""
    if not (isinstance(noted, dict) and isinstance(noted.get("salt"), str) and isinstance(noted.get("digests"), list)):
        return None
    known = _digests(noted)
    return sum(_hash(name, noted["salt"]) in known for name in set(names))


def _digests(noted: dict[str, Any]) -> set[str]:
    listed = noted.get("digests")
    return {digest for digest in listed if isinstance(digest, str)} if isinstance(listed, list) else set()


def judge_probabilities(
    calibration: Calibration,
    similarity: Floats,
    genuine: NDArray[np.bool_],
    weight: Floats,
    people: Iterable[str],
) -> dict[str, Any] | None:
    """Reliability, expected calibration error and Brier score of pairs `(p,)` with a prior of one half.

    None where one kind of pairs has no faces. `honest` is True, False (shared people) or None (not known).
    """
    found = np.isfinite(similarity)
    scores, same, weights = similarity[found], genuine[found], weight[found]
    if not same.any() or same.all():
        return None
    # Halves: the prior of one half that the probabilities are stated for.
    weights = weights * np.where(same, 0.5 / weights[same].sum(), 0.5 / weights[~same].sum())
    stated = metrics.reliability(calibration.probability(scores, prior=0.5), same, weights=weights, bins=BINS)
    shared = people_of_calibration(calibration, people)
    return {
        "fitted_on": calibration.data,
        "calibration_people": calibration.people,
        "people_shared": shared,
        "honest": None if shared is None else shared == 0,
        "expected_calibration_error": stated.error,
        "brier": stated.brier,
        "reliability": asdict(stated),
        "false_match_rates": stated_rates(calibration, scores[~same]),
    }


def stated_rates(calibration: Calibration, impostor: Floats) -> list[dict[str, Any]]:
    """The false-match rates that the calibration supports, against those observed on impostor scores `(i,)`."""
    rows = []
    for rate in STATED_RATES:
        if rate < calibration.finest_rate:
            continue
        threshold = calibration.threshold(rate)
        matched = int((impostor >= threshold).sum())
        rows.append(
            {
                "stated": rate,
                "threshold": threshold,
                "observed": matched / len(impostor),
                "matched": matched,
                "impostor_pairs": len(impostor),
            }
        )
    return rows


def _hash(person: str, salt: str) -> str:
    return hashlib.sha256(f"{salt}\n{person_key(person)}".encode()).hexdigest()[:12]
