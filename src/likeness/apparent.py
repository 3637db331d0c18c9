"""From a network's numbers to apparent age and gender that mean what they say, fitted on held-out faces; numpy only.

- **Age** is a distribution over years: the softmax of the age logits over a temperature. The point is its median or
  its mean, whichever was nearer to the known ages. The interval runs from the 10th to the 90th percentile, each end
  moved by as much as it takes for 80% of held-out faces to lie inside: conformalised quantiles with a margin for each
  end (Romano, Patterson & Candès 2019, "Conformalized quantile regression", theorem 2), fitted apart in bands of the
  age told (Vovk 2012), as errors grow with age.
- **Gender**: the logistic function of a line in the gender logit. Platt 1999, "Probabilistic outputs for support
  vector machines", with his smoothed targets.

"Apparent" is meant: a network sees looks, and learnt what people guessed or noted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.errors import CalibrationError
from likeness.fitted import read_fitted
from likeness.types import Age, Gender

Floats = NDArray[np.float64]

COVERAGE = 0.8
"""Share of faces whose age the interval is to hold."""
LEAST_PHOTOS = 50
"""Fewer faces with a known age (or gender) calibrate nothing."""
LEAST_IN_BAND = 100
BAND_YEARS = 10.0
_TAIL = (1 - COVERAGE) / 2


@dataclass(frozen=True, slots=True)
class AttributeCalibration:
    """What the age and gender logits of one network mean.

    Attributes:
        age_temperature: divides the age logits.
        point: which figure of the distribution is told as the age.
        band_edges_years: `(b − 1,)` increasing; the age told falls into one of b bands.
        low_margins_years, high_margins_years: `(b,)` by which the interval's ends are moved outwards (inwards where
            negative) in each band.
        gender_scale, gender_shift: of the gender logit, before the logistic function.
        aged_photos, gendered_photos: how many faces stand behind it.
        data: in words, what it was fitted on.
    """

    age_temperature: float
    point: Literal["median", "mean"]
    band_edges_years: Floats
    low_margins_years: Floats
    high_margins_years: Floats
    gender_scale: float
    gender_shift: float
    aged_photos: int
    gendered_photos: int
    data: str
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (self.age_temperature, self.gender_scale, self.gender_shift)
        arrays = (self.band_edges_years, self.low_margins_years, self.high_margins_years)
        if not all(map(math.isfinite, numbers)) or not all(np.isfinite(values).all() for values in arrays):
            raise CalibrationError("expected finite numbers in a calibration of age and gender")
        if self.age_temperature <= 0 or self.gender_scale <= 0:
            raise CalibrationError(
                f"expected age_temperature and gender_scale above 0, got {self.age_temperature}, {self.gender_scale}"
            )
        if self.point not in ("median", "mean"):
            raise CalibrationError(f"expected median or mean as the point, got {self.point!r}")
        bands = len(self.band_edges_years) + 1
        if any(values.ndim != 1 for values in arrays) or {len(values) for values in arrays[1:]} != {bands}:
            raise CalibrationError(f"expected {bands} margins for {bands - 1} band edges")
        if (np.diff(self.band_edges_years) <= 0).any():
            raise CalibrationError("expected increasing band_edges_years")

    @classmethod
    def unfitted(cls) -> Self:
        """The network's numbers as they are: for measuring before a calibration, not for telling anybody."""
        none = np.empty(0)
        return cls(1.0, "median", none, np.zeros(1), np.zeros(1), 1.0, 0.0, 0, 0, "nothing")

    def intervals(self, age_logits: ArrayLike, years: ArrayLike) -> Floats:
        """Age, low and high end `(n, 3)` in years, of logits `(n, bins)` for the ages `years` `(bins,)`."""
        shares, ages = distribution(age_logits, self.age_temperature), np.asarray(years, np.float64)
        low, median, high = percentiles(shares, ages, (_TAIL, 0.5, 1 - _TAIL)).T
        told = median if self.point == "median" else shares @ ages
        band = np.searchsorted(self.band_edges_years, told, side="right")
        least = max(0.0, float(ages[0]) - step_of(ages) / 2)
        low = np.maximum(low - self.low_margins_years[band], least)
        high = high + self.high_margins_years[band]
        told = np.maximum(told, least)
        return np.stack([told, np.minimum(low, told), np.maximum(high, told)], axis=1)

    def ages(self, age_logits: ArrayLike, years: ArrayLike) -> list[Age]:
        """The apparent age of each face, to a tenth of a year."""
        found = np.round(self.intervals(age_logits, years), 1)
        return [Age(*(float(value) for value in row)) for row in found]

    def female_probability(self, gender_logit: ArrayLike) -> Floats:
        """Probability of `female`, `(n,)`, of logits `(n,)` that are positive for it."""
        return _logistic(self.gender_scale * np.asarray(gender_logit, np.float64) + self.gender_shift)

    def genders(self, gender_logit: ArrayLike) -> list[Gender]:
        """The apparent gender of each face with its probability."""
        return [
            Gender("female", value) if value >= 0.5 else Gender("male", 1 - value)
            for value in self.female_probability(gender_logit).tolist()
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `attributes.json`."""
        return {
            "format": 1,
            "data": self.data,
            "aged_photos": self.aged_photos,
            "gendered_photos": self.gendered_photos,
            "age_temperature": round(self.age_temperature, 6),
            "point": self.point,
            "band_edges_years": np.round(self.band_edges_years, 3).tolist(),
            "low_margins_years": np.round(self.low_margins_years, 4).tolist(),
            "high_margins_years": np.round(self.high_margins_years, 4).tolist(),
            "gender_scale": round(self.gender_scale, 6),
            "gender_shift": round(self.gender_shift, 6),
            "notes": self.notes,
        }

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read an `attributes.json`.

        Raises:
            CalibrationError: it is not one.
        """
        return read_fitted(path, cls, "a calibration of age and gender")


def fit_attributes(
    age_logits: ArrayLike,
    gender_logit: ArrayLike,
    years: ArrayLike,
    age_years: ArrayLike,
    female: ArrayLike,
    *,
    data: str,
    notes: dict[str, Any] | None = None,
) -> AttributeCalibration:
    """Fit on faces that the network has not seen.

    Args:
        age_logits: `(n, bins)`. gender_logit: `(n,)`. years: `(bins,)` ages of the bins.
        age_years: `(n,)` known ages, NaN where not known. female: `(n,)` 1, 0, or NaN where not known.

    Raises:
        CalibrationError: fewer than 50 faces of known age or of known gender, one gender only, or a gender logit that
            tells nothing.
    """
    logits, logit = np.asarray(age_logits, np.float64), np.asarray(gender_logit, np.float64)
    known, sexes = np.asarray(age_years, np.float64), np.asarray(female, np.float64)
    aged, sexed = np.isfinite(known), np.isfinite(sexes)
    for what, count in (("ages", int(aged.sum())), ("genders", int(sexed.sum()))):
        if count < LEAST_PHOTOS:
            raise CalibrationError(f"a calibration needs at least {LEAST_PHOTOS} faces of known {what}, got {count}")
    ages = np.asarray(years, np.float64)
    temperature = fit_temperature(logits[aged], ages, known[aged])
    shares = distribution(logits[aged], temperature)
    low, median, high = percentiles(shares, ages, (_TAIL, 0.5, 1 - _TAIL)).T
    mean = shares @ ages
    errors = {"median": np.abs(median - known[aged]).mean(), "mean": np.abs(mean - known[aged]).mean()}
    point: Literal["median", "mean"] = "median" if errors["median"] <= errors["mean"] else "mean"
    told = median if point == "median" else mean
    edges = band_edges(told)
    band = np.searchsorted(edges, told, side="right")
    bands = range(len(edges) + 1)
    scale, shift = fit_logistic(logit[sexed], sexes[sexed] > 0.5)
    return AttributeCalibration(
        age_temperature=temperature,
        point=point,
        band_edges_years=edges,
        low_margins_years=np.array([conformal_margin((low - known[aged])[band == each]) for each in bands]),
        high_margins_years=np.array([conformal_margin((known[aged] - high)[band == each]) for each in bands]),
        gender_scale=scale,
        gender_shift=shift,
        aged_photos=int(aged.sum()),
        gendered_photos=int(sexed.sum()),
        data=data,
        notes=notes or {},
    )


def distribution(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Softmax of logits `(n, bins)` over a temperature."""
    scaled = np.asarray(logits, np.float64) / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def percentiles(shares: Floats, ages: Floats, levels: tuple[float, ...]) -> Floats:
    """The ages `(n, levels)` below which these parts of each distribution `(n, bins)` lie.

    A bin's share is spread evenly over the years from half a step before its age to half a step after.
    """
    half = step_of(ages) / 2
    edges = np.append(ages - half, ages[-1] + half)
    below = np.concatenate([np.zeros((len(shares), 1)), np.cumsum(shares, axis=1)], axis=1)
    below /= below[:, -1:]
    found: Floats = np.array([np.interp(levels, row, edges) for row in below]).reshape(len(shares), len(levels))
    return found


def step_of(ages: Floats) -> float:
    """Years from one bin to the next."""
    return float(ages[1] - ages[0])


def conformal_margin(scores: Floats) -> float:
    """The ⌈(n + 1) · 0.9⌉-th smallest of the scores `(n,)`: how far an end must move to fail 1 face of 10 at most."""
    rank = min(math.ceil((len(scores) + 1) * (1 - _TAIL)), len(scores))
    return float(np.sort(scores)[rank - 1])


def band_edges(told: Floats) -> Floats:
    """Edges between bands of the ages told `(n,)`: decades, joined until each holds 100 faces."""
    edges: list[float] = []
    last = 0
    ordered = np.sort(told)
    for edge in np.arange(BAND_YEARS, max(float(ordered[-1]), BAND_YEARS) + BAND_YEARS, BAND_YEARS):
        before = int(np.searchsorted(ordered, edge))
        if before - last >= LEAST_IN_BAND and len(ordered) - before >= LEAST_IN_BAND:
            edges.append(float(edge))
            last = before
    return np.array(edges)


def fit_temperature(logits: Floats, ages: Floats, known: Floats) -> float:
    """The temperature that makes the known ages likeliest: golden-section search on its logarithm."""
    place = np.clip(np.rint((known - ages[0]) / step_of(ages)).astype(int), 0, len(ages) - 1)

    def surprise(log_temperature: float) -> float:
        shares = distribution(logits, math.exp(log_temperature))
        return -float(np.log(np.maximum(shares[np.arange(len(place)), place], 1e-300)).mean())

    ratio = (math.sqrt(5) - 1) / 2
    low, high = math.log(0.05), math.log(20.0)
    one, two = high - ratio * (high - low), low + ratio * (high - low)
    at_one, at_two = surprise(one), surprise(two)
    while high - low > 1e-4:
        if at_one < at_two:
            high, two, at_two = two, one, at_one
            one = high - ratio * (high - low)
            at_one = surprise(one)
        else:
            low, one, at_one = one, two, at_two
            two = low + ratio * (high - low)
            at_two = surprise(two)
    return math.exp((low + high) / 2)


def fit_logistic(logit: Floats, positive: NDArray[np.bool_]) -> tuple[float, float]:
    """Scale and shift of `logit` `(n,)` that make the answers `positive` `(n,)` likeliest, by Newton's steps.

    Raises:
        CalibrationError: all answers are alike, or larger logits do not go with positive ones.
    """
    yes, no = int(positive.sum()), int((~positive).sum())
    if not (yes and no):
        raise CalibrationError("faces of both genders are needed to calibrate the gender's probability")
    # Platt's targets: not 0 and 1, so that logits that part the two without an error claim no certainty.
    target = np.where(positive, (yes + 1) / (yes + 2), 1 / (no + 2))
    columns = np.stack([logit, np.ones(len(logit))], axis=1)
    line = np.array([1.0 / max(float(np.abs(logit).mean()), 1e-6), 0.0])

    def surprise(line: Floats) -> float:
        score = columns @ line
        return float((np.logaddexp(0, score) - target * score).sum())

    for _ in range(100):
        stated = _logistic(columns @ line)
        slope = columns.T @ (stated - target)
        bend = (columns * (stated * (1 - stated))[:, None]).T @ columns + 1e-9 * np.eye(2)
        step, size = np.linalg.solve(bend, slope), 1.0
        while size > 1e-6 and surprise(line - size * step) > surprise(line):
            size /= 2
        line = line - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    if line[0] <= 1e-6:
        raise CalibrationError("the gender logit tells nothing: larger ones do not go with female faces")
    return float(line[0]), float(line[1])


def _logistic(values: Floats) -> Floats:
    return np.exp(-np.logaddexp(0, -values))
