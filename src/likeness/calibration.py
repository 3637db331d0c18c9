"""Similarity to probability and false-match rate, fitted on real pairs; numpy only.

Three numbers answer "how sure are you?":

- **Probability** that two faces show one person. Isotonic regression (pool-adjacent-violators; Barlow et al. 1972;
  Zadrozny & Elkan 2002) of "same person" on similarity, genuine and impostor pairs weighted to halves, gives the
  likelihood ratio at a similarity; Bayes' rule with a stated prior turns it into a probability.
- **False-match rate** (FMR): share of pairs of strangers that are at least this similar. 1:1.
- **False-positive identification rate** (FPIR): share of strangers whose search among N enrolled faces finds one at
  least this similar; stated as 1 − (1 − FMR)^N, as if comparisons were independent. Real ones are not (the same
  stranger resembles many), which makes the real rate lower.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from likeness.errors import CalibrationError, RateUnsupported
from likeness.fitted import read_fitted

Floats = NDArray[np.float64]

BIN = 5e-4
PAIRS_BEHIND_A_RATE = 30
"""Doddington's rule of 30: an error rate counts as measured where at least 30 errors were seen behind it."""
PAIRS_BEHIND_NONE = 3
"""The rule of three: nothing seen in n trials leaves rates up to 3 / n possible (95% confidence)."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What similarities of one embedding space mean.

    Attributes:
        space: the embedding space.
        similarities, log_odds: knots of the fitted likelihood ratio (natural logarithm), increasing; between them it
            is linear, beyond them constant.
        tail_similarities, tail_rates: impostor similarities, increasing, with the share of impostor pairs at or above.
        missed_similarities, missed_rates: genuine similarities, increasing, with the share of genuine pairs below.
        genuine_pairs, impostor_pairs, people: how much data is behind it.
        data: in words, what it was fitted on.
    """

    space: str
    similarities: Floats
    log_odds: Floats
    tail_similarities: Floats
    tail_rates: Floats
    missed_similarities: Floats
    missed_rates: Floats
    genuine_pairs: int
    impostor_pairs: int
    people: int
    data: str
    notes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, values, order in (
            ("similarities", self.similarities, 1),
            ("log_odds", self.log_odds, 1),
            ("tail_similarities", self.tail_similarities, 1),
            ("tail_rates", self.tail_rates, -1),
            ("missed_similarities", self.missed_similarities, 1),
            ("missed_rates", self.missed_rates, 1),
        ):
            if not (values.ndim == 1 and len(values) >= 2 and np.isfinite(values).all()):
                raise CalibrationError(f"expected at least two finite {name}, got shape {values.shape}")
            if (np.diff(values) * order < 0).any():
                raise CalibrationError(f"expected monotone {name}")
        for name in ("tail", "missed"):
            if len(getattr(self, f"{name}_similarities")) != len(getattr(self, f"{name}_rates")):
                raise CalibrationError(f"expected as many {name}_rates as {name}_similarities")
        if len(self.similarities) != len(self.log_odds):
            raise CalibrationError("expected as many log_odds as similarities")
        # Rates are interpolated as logarithms, and divided by the number of pairs.
        if self.tail_rates[-1] <= 0 or self.tail_rates[0] > 1 or self.missed_rates[0] < 0 or self.missed_rates[-1] > 1:
            raise CalibrationError("expected tail_rates in (0, 1] and missed_rates in [0, 1]")
        if min(self.genuine_pairs, self.impostor_pairs) < 1:
            raise CalibrationError(f"expected pairs of either kind, got {self.genuine_pairs} and {self.impostor_pairs}")

    @property
    def finest_rate(self) -> float:
        """The smallest false-match rate that the impostor pairs support."""
        return PAIRS_BEHIND_A_RATE / self.impostor_pairs

    @property
    def floor(self) -> float:
        """The false-match rate below which nothing can be told: one given as this is an upper bound, no measure."""
        return PAIRS_BEHIND_NONE / self.impostor_pairs

    def likelihood_ratio(self, similarity: ArrayLike) -> Floats:
        """How many times likelier this similarity is between photos of one person than of two. Any shape."""
        return np.exp(np.interp(np.asarray(similarity, np.float64), self.similarities, self.log_odds))

    def probability(self, similarity: ArrayLike, *, prior: float = 0.5) -> Floats:
        """Probability that the two faces of a comparison show one person, given `prior` before it. Any shape."""
        odds = self.likelihood_ratio(similarity) * prior / (1 - prior)
        return odds / (1 + odds)

    def search_probabilities(self, similarities: Sequence[float], people: int, *, prior: float = 0.5) -> Floats:
        """Probability, for each of the most similar candidates, that the probe shows that person.

        Before the search the probe is somebody of the gallery's `people` with probability `prior`, each equally
        likely, or else a stranger. People who are not listed, all less similar than the last one who is, count with
        the likelihood ratio that such people have on average (the share of genuine pairs below that similarity over
        the share of impostor pairs below it).
        """
        ratios = self.likelihood_ratio(similarities)
        if not len(ratios):
            return ratios
        below = float(self.fnmr(similarities[-1])) / max(1 - float(self.fmr(similarities[-1])), 1e-12)
        unlisted = max(people - len(ratios), 0) * below
        share = prior / max(people, 1)
        total = share * (float(ratios.sum()) + unlisted) + (1 - prior)
        return ratios * share / total

    def fmr(self, similarity: ArrayLike) -> Floats:
        """False-match rate: share of impostor pairs at least this similar. Never below what the data can show."""
        rates = np.exp(
            np.interp(np.asarray(similarity, np.float64), self.tail_similarities, np.log(self.tail_rates), left=0.0)
        )
        return np.maximum(rates, self.floor)

    def fnmr(self, similarity: ArrayLike) -> Floats:
        """False-non-match rate: share of genuine pairs that are less similar than this."""
        rates: Floats = np.interp(
            np.asarray(similarity, np.float64),
            self.missed_similarities,
            self.missed_rates,
            left=0.0,
            right=1.0,
        )
        return rates

    def fpir(self, similarity: ArrayLike, faces: int) -> Floats:
        """False-positive identification rate of a search among `faces` enrolled faces."""
        rates: Floats = -np.expm1(faces * np.log1p(-np.minimum(self.fmr(similarity), 1 - 1e-12)))
        return rates

    def threshold(self, fmr: float) -> float:
        """The similarity from which on at most `fmr` of impostor pairs are.

        Raises:
            RateUnsupported: fewer than 30 impostor pairs stand behind so small a rate.
        """
        if fmr < self.finest_rate:
            raise RateUnsupported(
                f"a false-match rate of {fmr:.2g} needs {PAIRS_BEHIND_A_RATE / fmr:,.0f} impostor pairs; "
                f"this calibration rests on {self.impostor_pairs:,}",
                hint=f"the smallest rate it supports is {self.finest_rate:.2g}",
            )
        order = slice(None, None, -1)
        return float(np.interp(np.log(fmr), np.log(self.tail_rates)[order], self.tail_similarities[order]))

    def search_threshold(self, fpir: float, faces: int) -> tuple[float, float]:
        """The similarity at which a search among `faces` has this rate, and the rate that it has there.

        The rate is larger than the one asked for where the calibration does not support so small a one.
        """
        wanted = -np.expm1(np.log1p(-fpir) / max(faces, 1))
        similarity = self.threshold(max(float(wanted), self.finest_rate))
        return similarity, float(self.fpir(similarity, max(faces, 1)))

    def as_dict(self) -> dict[str, Any]:
        """Plain data for `calibration.json`."""
        return {
            "format": 1,
            "space": self.space,
            "data": self.data,
            "people": self.people,
            "genuine_pairs": self.genuine_pairs,
            "impostor_pairs": self.impostor_pairs,
            "similarities": np.round(self.similarities, 5).tolist(),
            "log_odds": np.round(self.log_odds, 4).tolist(),
            "tail_similarities": np.round(self.tail_similarities, 5).tolist(),
            "tail_rates": [float(f"{rate:.5g}") for rate in self.tail_rates],
            "missed_similarities": np.round(self.missed_similarities, 5).tolist(),
            "missed_rates": [float(f"{rate:.5g}") for rate in self.missed_rates],
            "notes": self.notes,
        }

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Read a `calibration.json`.

        Raises:
            CalibrationError: it is not one.
        """
        return read_fitted(path, cls, "a calibration")


def fit(
    space: str,
    genuine: ArrayLike,
    impostor: ArrayLike,
    *,
    genuine_weights: ArrayLike | None = None,
    people: int,
    data: str,
    notes: dict[str, Any] | None = None,
) -> Calibration:
    """Fit a calibration on similarities of genuine pairs `(g,)` and impostor pairs `(i,)`.

    `genuine_weights` `(g,)` lets each person count alike, however many photos there are of them.

    Raises:
        CalibrationError: fewer than 30 pairs of either kind.
    """
    same, other = np.asarray(genuine, np.float64), np.asarray(impostor, np.float64)
    if min(len(same), len(other)) < PAIRS_BEHIND_A_RATE:
        raise CalibrationError(
            f"a calibration needs at least {PAIRS_BEHIND_A_RATE} genuine and impostor pairs, "
            f"got {len(same)} and {len(other)}"
        )
    weights = np.ones(len(same)) if genuine_weights is None else np.asarray(genuine_weights, np.float64)
    similarities, log_odds = _fit_ratio(same, weights / weights.sum(), other)
    tail_similarities, tail_rates = _fit_tail(other)
    missed_similarities, missed_rates = _fit_missed(same, weights / weights.sum())
    return Calibration(
        space=space,
        similarities=similarities,
        log_odds=log_odds,
        tail_similarities=tail_similarities,
        tail_rates=tail_rates,
        missed_similarities=missed_similarities,
        missed_rates=missed_rates,
        genuine_pairs=len(same),
        impostor_pairs=len(other),
        people=people,
        data=data,
        notes=notes or {},
    )


def isotonic(values: ArrayLike, weights: ArrayLike) -> tuple[Floats, NDArray[np.intp]]:
    """The non-decreasing sequence nearest to `values` `(n,)` in weighted squares, by pooling adjacent violators.

    Returns the fitted value of each block and the index at which each block starts.
    """
    blocks: list[tuple[float, float, int]] = []
    pairs = zip(np.asarray(values, np.float64).tolist(), np.asarray(weights, np.float64).tolist(), strict=True)
    for start, (value, weight) in enumerate(pairs):
        blocks.append((value, weight, start))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            high, low = blocks.pop(), blocks.pop()
            total = high[1] + low[1]
            blocks.append(((high[0] * high[1] + low[0] * low[1]) / total, total, low[2]))
    return np.array([block[0] for block in blocks]), np.array([block[2] for block in blocks], np.intp)


def _fit_ratio(same: Floats, weights: Floats, other: Floats) -> tuple[Floats, Floats]:
    """Knots of the logarithm of the likelihood ratio."""
    edges = np.arange(-1.0, 1.0 + 2 * BIN, BIN)
    genuine = np.histogram(same, edges, weights=weights)[0]
    impostor = np.histogram(other, edges)[0] / len(other)
    seen = np.nonzero(genuine + impostor > 0)[0]
    genuine, impostor, centres = genuine[seen], impostor[seen], (edges[seen] + BIN / 2)
    _, starts = isotonic(genuine / (genuine + impostor), genuine + impostor)
    genuine_share, impostor_share = np.add.reduceat(genuine, starts), np.add.reduceat(impostor, starts)
    # Half a pair more on each side keeps blocks that hold one kind only from claiming certainty.
    ratio = (genuine_share + 0.5 / len(same)) / (impostor_share + 0.5 / len(other))
    heights = np.maximum.accumulate(np.log(ratio))
    # A block is flat from its first bin to its last: two knots each, one for a block of a single bin.
    ends = np.append(starts[1:] - 1, len(centres) - 1)
    knots = np.unique(np.concatenate([starts, ends]))
    return centres[knots], heights[np.searchsorted(starts, knots, side="right") - 1]


def _fit_tail(other: Floats, points: int = 240) -> tuple[Floats, Floats]:
    """Impostor similarities at ranks evenly spaced in the logarithm, with the share of pairs at or above each."""
    descending = np.sort(other)[::-1]
    ranks = np.unique(np.geomspace(1, len(other), points).round().astype(int))
    return descending[ranks - 1][::-1], (ranks / len(other))[::-1]


def _fit_missed(same: Floats, weights: Floats, points: int = 120) -> tuple[Floats, Floats]:
    """Genuine similarities, evenly spaced in rank, with the weighted share of pairs below each."""
    order = np.argsort(same)
    ordered, below = same[order], np.cumsum(weights[order]) - weights[order]
    chosen = np.unique(np.linspace(0, len(same) - 1, points).round().astype(int))
    return ordered[chosen], below[chosen]
