"""Ages and apparent genders, predicted against known: errors over all and by decade of age.

Works on arrays, wherever they come from: see `likeness.evaluate.predictions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness import __version__
from likeness.apparent import COVERAGE
from likeness.errors import DatasetError
from likeness.evaluate import metrics
from likeness.evaluate.bootstrap import ROUNDS, share_interval
from likeness.evaluate.predictions import Floats, Predictions
from likeness.evaluate.sample import decade_of

NEAR_YEARS = 5.0
FEW = 30
GENDERS = ("female", "male")


def evaluate_attributes(
    found: Predictions,
    *,
    name: str,
    data: str,
    rounds: int = ROUNDS,
    seed: int = 0,
    behind: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The report on predictions of the model called `name` on the `data`; `behind` says what its calibration rests on.

    Raises:
        DatasetError: neither age nor gender is both known and predicted of any photo.
    """
    aged = np.isfinite(found.age_years) & np.isfinite(found.predicted_age_years)
    sexed = (found.gender != "") & (found.predicted_gender != "")
    if not (aged.any() or sexed.any()):
        raise DatasetError(
            "neither age nor gender is both known and predicted of any photo",
            hint="the CSV needs age_years and predicted_age_years, or gender and predicted_gender; "
            "--data DATASET takes what is known from a data set's labels",
        )
    people = np.array([person or f"\0{place}" for place, person in enumerate(found.people.tolist())])
    decades = np.array([decade_of(age) if np.isfinite(age) else "" for age in found.age_years.tolist()])
    report: dict[str, Any] = {
        "kind": "attributes",
        "likeness": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "model": {"name": name},
        "data": {"name": data, "photos": len(people), "people": len(np.unique(people))},
        "seed": seed,
        "rounds": rounds,
    }
    if aged.any():
        report["age"] = _ages(found, aged, decades, people, rounds, seed)
    if sexed.any():
        report["gender"] = _genders(found, sexed, decades, people, rounds, seed)
    if behind is not None:
        report["calibration"] = dict(behind)
    return report | {"weaknesses": _weaknesses(report)}


def _ages(
    found: Predictions,
    aged: NDArray[np.bool_],
    decades: NDArray[np.str_],
    people: NDArray[np.str_],
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    age, predicted, owner = found.age_years[aged], found.predicted_age_years[aged], people[aged]
    inside, width = _intervals(found, aged)

    def figures(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        error = predicted[chosen] - age[chosen]
        near = np.abs(error) <= NEAR_YEARS
        return {
            "photos": len(error),
            "mean_absolute_error_years": float(np.abs(error).mean()),
            "mean_absolute_error_interval": _mean_interval(np.abs(error), owner[chosen], rounds, seed),
            "median_absolute_error_years": float(np.median(np.abs(error))),
            "bias_years": float(error.mean()),
            "within_5_years": float(near.mean()),
            "within_5_years_interval": _mean_interval(near.astype(np.float64), owner[chosen], rounds, seed),
        } | covered(chosen & np.isfinite(width))

    def covered(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        if not chosen.any():
            return {}
        return {
            "coverage": float(inside[chosen].mean()),
            "coverage_interval": _mean_interval(inside[chosen].astype(np.float64), owner[chosen], rounds, seed),
            "mean_width_years": float(width[chosen].mean()),
        }

    given = np.array([decade_of(value) for value in np.clip(predicted, 0, 129).tolist()])
    names = sorted({*decades[aged].tolist(), *given.tolist()}, key=_start)
    # What saying the same age of everybody would give: the best constant for absolute errors is the median.
    constant = float(np.abs(age - np.median(age)).mean())
    return {
        **figures(np.ones(len(age), bool)),
        "constant_guess_error_years": constant,
        "by_decade": _by(figures, decades[aged]),
        "by_decade_told": _by(figures, given),
        "by_group": _by(figures, _groups(found)[aged]),
        "confusion": {"names": names, "table": confusion(decades[aged], given, names)},
    }


def _intervals(found: Predictions, chosen: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], Floats]:
    """Of each chosen photo whether its age lies in the interval stated, and how wide that is (NaN: none stated)."""
    if found.low_age_years is None or found.high_age_years is None:
        return np.zeros(int(chosen.sum()), bool), np.full(int(chosen.sum()), np.nan)
    low, high, age = found.low_age_years[chosen], found.high_age_years[chosen], found.age_years[chosen]
    return (low <= age) & (age <= high), high - low


def _groups(found: Predictions) -> NDArray[np.str_]:
    return np.full(len(found.age_years), "") if found.groups is None else found.groups


def _genders(
    found: Predictions,
    chosen: NDArray[np.bool_],
    decades: NDArray[np.str_],
    people: NDArray[np.str_],
    rounds: int,
    seed: int,
) -> dict[str, Any]:
    gender, predicted, owner = found.gender[chosen], found.predicted_gender[chosen], people[chosen]
    right = gender == predicted
    probability = found.gender_probability[chosen]
    stated = np.isfinite(probability)

    def figures(part: NDArray[np.bool_]) -> dict[str, Any]:
        figures = {
            "photos": int(part.sum()),
            "accuracy": float(right[part].mean()),
            "accuracy_interval": _mean_interval(right[part].astype(np.float64), owner[part], rounds, seed),
        }
        said = part & stated
        if said.sum() >= FEW:
            # As many bins as hold a few dozen photos each: of fewer the error would be noise.
            bins = int(np.clip(said.sum() // FEW, 1, 15))
            error = metrics.reliability(probability[said], right[said], bins=bins).error
            figures |= {"mean_probability": float(probability[said].mean()), "expected_calibration_error": error}
        return figures

    report: dict[str, Any] = {
        **figures(np.ones(len(gender), bool)),
        "most_common_guess": float(max((gender == name).mean() for name in GENDERS)),
        "by_gender": {name: figures(gender == name) for name in GENDERS if (gender == name).any()},
        "by_decade": _by(figures, decades[chosen]),
        "by_group": _by(figures, _groups(found)[chosen]),
        "confusion": {"names": list(GENDERS), "table": confusion(gender, predicted, GENDERS)},
    }
    if stated.any():
        reliability = metrics.reliability(probability[stated], right[stated])
        report["probabilities"] = {
            "photos": int(stated.sum()),
            "expected_calibration_error": reliability.error,
            "brier": reliability.brier,
            "reliability": asdict(reliability),
        }
    return report


def confusion(
    known: NDArray[np.str_], predicted: NDArray[np.str_], names: tuple[str, ...] | list[str]
) -> list[list[int]]:
    """How often each of `names` (rows) was predicted as each (columns)."""
    return [[int(((known == row) & (predicted == column)).sum()) for column in names] for row in names]


def _by(figures: Callable[[NDArray[np.bool_]], dict[str, Any]], parts: NDArray[np.str_]) -> dict[str, dict[str, Any]]:
    return {name: figures(parts == name) for name in sorted({*parts.tolist()} - {""}, key=_start)}


def _start(part: str) -> tuple[int, str]:
    """Decades in their order; groups, which are words, in the alphabet's."""
    first = part.replace("+", "–").partition("–")[0]
    return (int(first) if first.isdigit() else 0), part


def _mean_interval(values: Floats, people: NDArray[np.str_], rounds: int, seed: int) -> tuple[float, float] | None:
    """Interval of a mean over photos, resampling their people."""
    _, owner = np.unique(people, return_inverse=True)
    return share_interval(np.bincount(owner, values), np.bincount(owner), rounds=rounds, seed=seed)


def _weaknesses(report: Mapping[str, Any]) -> list[str]:
    found = []
    for kind, figure, ends, words in (
        ("age", "mean_absolute_error_years", "mean_absolute_error_interval", "{:.1f} years off on average"),
        ("gender", "accuracy", "accuracy_interval", "right for {:.1%}"),
    ):
        if kind not in report:
            continue
        everybody, table = report[kind][figure], report[kind]["by_decade"]
        few = [name for name, row in table.items() if row["photos"] < FEW]
        if few:
            found.append(f"{kind.capitalize()}: fewer than {FEW} photos each of the ages {', '.join(few)}.")
        for name, row in table.items():
            low, high = row[ends] or (everybody, everybody)
            # Said only where chance does not explain it: the interval leaves out what holds for everybody.
            if row["photos"] >= FEW and (low > everybody if kind == "age" else high < everybody):
                found.append(f"{kind.capitalize()} is told worse at {name}: {words.format(row[figure])}.")
    age = report.get("age", {})
    if abs(age.get("bias_years", 0)) > 1:
        found.append(
            f"Ages come out {abs(age['bias_years']):.1f} years too {'old' if age['bias_years'] > 0 else 'young'}."
        )
    found += _missed(age)
    if report.get("calibration", {}).get("honest") is False:
        found.append("Measured on photos that the model learnt from or was calibrated on: flattering figures.")
    gender = report.get("gender", {}).get("by_gender", {})
    if len(gender) == 2:
        gap = gender["female"]["accuracy"] - gender["male"]["accuracy"]
        if abs(gap) > 0.02:
            less = "women" if gap < 0 else "men"
            found.append(f"Gender is told {abs(gap):.1%} (in points) less often rightly of {less}.")
    return found


def _missed(age: Mapping[str, Any]) -> list[str]:
    """Parts whose intervals hold fewer ages than they say, beyond what chance explains."""
    found = []
    parts = {"all ages": age, **{f"the ages {name}": row for name, row in age.get("by_decade", {}).items()}}
    for name, row in parts.items():
        if row.get("photos", 0) >= FEW and row.get("coverage_interval") and row["coverage_interval"][1] < COVERAGE:
            found.append(f"The interval of {name} holds {row['coverage']:.0%} of them, not {COVERAGE:.0%} as it says.")
    return found
