"""Ages and apparent genders, predicted against known: errors over all and by decade of age.

Works on arrays, wherever they come from; `read_predictions` reads them from CSV.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness import __version__
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.evaluate import metrics
from likeness.evaluate.bootstrap import ROUNDS, share_interval
from likeness.evaluate.sample import decade_of

NEAR_YEARS = 5.0
FEW = 30
GENDERS = ("female", "male")
_WORDS = {"female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male", "": ""}
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What is known and what was predicted of photos; all arrays are `(n,)`.

    Attributes:
        age_years, predicted_age_years: NaN where not known or not predicted.
        gender, predicted_gender: `female`, `male`, or empty.
        gender_probability: of the predicted gender; NaN where not stated.
        people: who each photo shows; photos of nobody in particular count as somebody's each.
    """

    age_years: Floats
    gender: NDArray[np.str_]
    predicted_age_years: Floats
    predicted_gender: NDArray[np.str_]
    gender_probability: Floats
    people: NDArray[np.str_]


def evaluate_attributes(
    found: Predictions, *, name: str, data: str, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, Any]:
    """The report on predictions of the model called `name` on the `data`.

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
        report["age"] = _ages(
            found.age_years[aged], found.predicted_age_years[aged], decades[aged], people[aged], rounds, seed
        )
    if sexed.any():
        report["gender"] = _genders(found, sexed, decades, people, rounds, seed)
    return report | {"weaknesses": _weaknesses(report)}


def _ages(
    age: Floats, predicted: Floats, decades: NDArray[np.str_], people: NDArray[np.str_], rounds: int, seed: int
) -> dict[str, Any]:
    def figures(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        error = predicted[chosen] - age[chosen]
        near = np.abs(error) <= NEAR_YEARS
        return {
            "photos": len(error),
            "mean_absolute_error_years": float(np.abs(error).mean()),
            "mean_absolute_error_interval": _mean_interval(np.abs(error), people[chosen], rounds, seed),
            "median_absolute_error_years": float(np.median(np.abs(error))),
            "bias_years": float(error.mean()),
            "within_5_years": float(near.mean()),
            "within_5_years_interval": _mean_interval(near.astype(np.float64), people[chosen], rounds, seed),
        }

    given = np.array([decade_of(value) for value in np.clip(predicted, 0, 129).tolist()])
    names = sorted({*decades.tolist(), *given.tolist()}, key=_start)
    # What saying the same age of everybody would give: the best constant for absolute errors is the median.
    constant = float(np.abs(age - np.median(age)).mean())
    return {
        **figures(np.ones(len(age), bool)),
        "constant_guess_error_years": constant,
        "by_decade": _by_decade(figures, decades),
        "confusion": {"names": names, "table": confusion(decades, given, names)},
    }


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

    def figures(part: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "photos": int(part.sum()),
            "accuracy": float(right[part].mean()),
            "accuracy_interval": _mean_interval(right[part].astype(np.float64), owner[part], rounds, seed),
        }

    report: dict[str, Any] = {
        **figures(np.ones(len(gender), bool)),
        "most_common_guess": float(max((gender == name).mean() for name in GENDERS)),
        "by_gender": {name: figures(gender == name) for name in GENDERS if (gender == name).any()},
        "by_decade": _by_decade(figures, decades[chosen]),
        "confusion": {"names": list(GENDERS), "table": confusion(gender, predicted, GENDERS)},
    }
    probability = found.gender_probability[chosen]
    stated = np.isfinite(probability)
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


def read_predictions(path: Path, dataset: Dataset | None = None) -> Predictions:
    """Predictions from a CSV with the columns `path`, `predicted_age_years`, `predicted_gender`, `gender_probability`.

    What is known comes from the columns `age_years` and `gender`, or from the labels of a data set whose rows have
    those paths (or were cut from photos of those paths).

    Raises:
        DatasetError: it is malformed, or no path is in the data set.
    """
    try:
        text = path.read_text("utf-8-sig")  # as spreadsheets write it
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the predictions {str(path)!r} cannot be read: {error}") from None
    reader = csv.DictReader(text.splitlines())
    if "path" not in (reader.fieldnames or ()):
        raise DatasetError(f"the predictions {str(path)!r} have no column 'path'")
    known = {name: row for row in (dataset.rows if dataset else ()) for name in (row.photo, row.path) if name}
    lines = []
    for cells in reader:
        try:
            if dataset is None or cells["path"] in known:
                lines.append(_line(cells, known.get(cells["path"])))
        except ValueError as error:
            raise DatasetError(f"{str(path)!r}, line {reader.line_num}: {error}") from None
    if not lines:
        where = f"of {str(path)!r} is in the data set" if dataset else f"is in {str(path)!r}"
        raise DatasetError(f"no photo {where}")
    columns = list(zip(*lines, strict=True))
    age, gender, predicted_age, predicted_gender, probability, people = (np.array(column) for column in columns)
    return Predictions(age, gender, predicted_age, predicted_gender, probability, people)


def _line(cells: Mapping[str, str | None], row: Row | None) -> tuple[float, str, float, str, float, str]:
    age, gender = _number(cells, "age_years", 130), _gender(cells, "gender")
    if row is not None:
        known = row.label("age_years")
        age = float(known) if isinstance(known, float | int) else age
        gender = _WORDS.get(str(row.label("gender") or "").lower(), "") or gender
    return (
        age,
        gender,
        _number(cells, "predicted_age_years", math.inf),
        _gender(cells, "predicted_gender"),
        _number(cells, "gender_probability", 1),
        row.identity if row is not None else cells.get("identity") or "",
    )


def _number(cells: Mapping[str, str | None], name: str, most: float) -> float:
    text = (cells.get(name) or "").strip()
    if not text:
        return math.nan
    value = float(text)
    if name == "predicted_age_years" and math.isfinite(value):
        return value
    if not 0 <= value <= most or not math.isfinite(value):
        raise ValueError(f"expected {name} from 0 to {most:g}, got {text!r}")
    return value


def _gender(cells: Mapping[str, str | None], name: str) -> str:
    text = (cells.get(name) or "").strip()
    if text.lower() not in _WORDS:
        raise ValueError(f"expected {name} as female or male, got {text!r}")
    return _WORDS[text.lower()]


def _by_decade(
    figures: Callable[[NDArray[np.bool_]], dict[str, Any]], decades: NDArray[np.str_]
) -> dict[str, dict[str, Any]]:
    return {name: figures(decades == name) for name in sorted({*decades.tolist()} - {""}, key=_start)}


def _start(decade: str) -> int:
    return int(decade.replace("+", "–").partition("–")[0])


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
    age = report.get("age")
    if age is not None and abs(age["bias_years"]) > 1:
        found.append(
            f"Ages come out {abs(age['bias_years']):.1f} years too {'old' if age['bias_years'] > 0 else 'young'}."
        )
    gender = report.get("gender", {}).get("by_gender", {})
    if len(gender) == 2:
        gap = gender["female"]["accuracy"] - gender["male"]["accuracy"]
        if abs(gap) > 0.02:
            less = "women" if gap < 0 else "men"
            found.append(f"Gender is told {abs(gap):.1%} (in points) less often rightly of {less}.")
    return found
