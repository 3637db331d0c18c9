"""Ages and genders known and predicted of photos: as arrays, from a CSV, or from a model and a data set's crops."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError

Floats = NDArray[np.float64]
_WORDS = {"female": "female", "f": "female", "woman": "female", "male": "male", "m": "male", "man": "male", "": ""}
FEMALE = {"female": 1.0, "male": 0.0, "": math.nan}
"""A gender as a number."""
_ANY_AGE = ("predicted_age_years", "low_age_years", "high_age_years")
"""Predictions may be of any number; what is known may not."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What is known and what was predicted of photos; all arrays are `(n,)`.

    Attributes:
        age_years, predicted_age_years: NaN where not known or not predicted.
        gender, predicted_gender: `female`, `male`, or empty.
        gender_probability: of the predicted gender; NaN where not stated.
        people: who each photo shows; photos of nobody in particular count as somebody's each.
        low_age_years, high_age_years: ends of the interval that is to hold 80% of ages; NaN where not stated.
        groups: what the data set says of each photo's group; empty where it does not.
    """

    age_years: Floats
    gender: NDArray[np.str_]
    predicted_age_years: Floats
    predicted_gender: NDArray[np.str_]
    gender_probability: Floats
    people: NDArray[np.str_]
    low_age_years: Floats | None = None
    high_age_years: Floats | None = None
    groups: NDArray[np.str_] | None = None

    @property
    def bounded(self) -> NDArray[np.bool_]:
        """`(n,)`: whether an interval is stated."""
        if self.low_age_years is None or self.high_age_years is None:
            return np.zeros(len(self.age_years), bool)
        return np.isfinite(self.low_age_years) & np.isfinite(self.high_age_years)


def read_predictions(path: Path, dataset: Dataset | None = None) -> Predictions:
    """Predictions from a CSV with the columns `path`, `predicted_age_years`, `predicted_gender`, `gender_probability`,
    and where intervals are stated `low_age_years` and `high_age_years`.

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
    known = {name: row for row in (dataset.rows if dataset else ()) for name in (row.photo, row.path) if name}
    lines = []
    try:
        if "path" not in (reader.fieldnames or ()):
            raise DatasetError(f"the predictions {str(path)!r} have no column 'path'")
        for cells in reader:
            if dataset is None or cells["path"] in known:
                lines.append(_line(cells, known.get(cells["path"])))
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"{str(path)!r}, line {reader.line_num}: {error}") from None
    if not lines:
        where = f"of {str(path)!r} is in the data set" if dataset else f"is in {str(path)!r}"
        raise DatasetError(f"no photo {where}")
    return Predictions(*(np.array(column) for column in zip(*lines, strict=True)))


def _line(cells: Mapping[str, str | None], row: Row | None) -> tuple[Any, ...]:
    age, gender = _number(cells, "age_years", 130), _gender(cells, "gender")
    if row is not None:
        known, noted = known_of(row)
        age, gender = age if math.isnan(known) else known, noted or gender
    return (
        age,
        gender,
        _number(cells, "predicted_age_years", math.inf),
        _gender(cells, "predicted_gender"),
        _number(cells, "gender_probability", 1),
        row.identity if row is not None else cells.get("identity") or "",
        _number(cells, "low_age_years", math.inf),
        _number(cells, "high_age_years", math.inf),
        str(row.label("group") or "") if row is not None else cells.get("group") or "",
    )


def known_of(row: Row) -> tuple[float, str]:
    """The age in years (NaN where not known) and the gender (`female`, `male` or empty) by a row's labels."""
    age = row.label("age_years")
    gender = _WORDS.get(str(row.label("gender") or "").lower(), "")
    return (float(age) if isinstance(age, float | int) else math.nan), gender


def _number(cells: Mapping[str, str | None], name: str, most: float) -> float:
    text = (cells.get(name) or "").strip()
    if not text:
        return math.nan
    value = float(text)
    if name in _ANY_AGE and math.isfinite(value):
        return value
    if not 0 <= value <= most or not math.isfinite(value):
        raise ValueError(f"expected {name} from 0 to {most:g}, got {text!r}")
    return value


def _gender(cells: Mapping[str, str | None], name: str) -> str:
    text = (cells.get(name) or "").strip()
    if text.lower() not in _WORDS:
        raise ValueError(f"expected {name} as female or male, got {text!r}")
    return _WORDS[text.lower()]
