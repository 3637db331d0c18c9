"""Charts as SVG, each with a title and a description for those who do not see them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.server.ui.markup import text

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 420, 300
LEFT, RIGHT, TOP, BOTTOM = 52, 24, 14, 46
BINS = 30


@dataclass(frozen=True, slots=True)
class Axes:
    """Where numbers lie in a chart: `x` and `y` from least to most; a logarithmic x has its powers of ten there."""

    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        """A point in the chart's pixels, kept within its frame."""
        across = (min(max(x, self.x[0]), self.x[1]) - self.x[0]) / (self.x[1] - self.x[0])
        up = (min(max(y, self.y[0]), self.y[1]) - self.y[0]) / (self.y[1] - self.y[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)


def score_chart(calibration: Calibration, similarity: float, threshold: float) -> str:
    """How alike strangers and photos of one person are, with one pair's score between them."""
    low = float(np.interp(0.95, calibration.tail_rates[::-1], calibration.tail_similarities[::-1]))
    edges = np.linspace(min(low, similarity), max(float(calibration.missed_similarities[-1]), similarity) + 0.005, BINS)
    strangers = _heights(1 - calibration.fmr(edges))
    same = _heights(calibration.fnmr(edges))
    middles = (edges[1:] + edges[:-1]) / 2
    axes = Axes((float(edges[0]), float(edges[-1])), (0.0, 1.08))
    parts = [
        _line(axes, middles, strangers, "lk-other"),
        _line(axes, middles, same, "lk-line"),
        _upright(axes, threshold, "lk-ideal"),
        _upright(axes, similarity, "lk-mark"),
        _label(axes, similarity, 1.04, f"{similarity:.3f}"),
    ]
    described = (
        f"Strangers are mostly about {_usual(middles, strangers):.2f} alike, photos of one person about "
        f"{_usual(middles, same):.2f}; the threshold is {threshold:.3f}, and this pair scores {similarity:.3f}."
    )
    ticks = _ticks(axes, [(value, f"{value:.2f}") for value in np.linspace(*axes.x, 5).tolist()], [])
    return _chart(
        "This pair between strangers and one person", described, ticks, parts, "likeness (cosine)", "how many"
    )


def roc_chart(calibration: Calibration, threshold: float, rate: float) -> str:
    """Receiver operating characteristic: people recognised at each rate of strangers taken for one person."""
    grid = np.linspace(float(calibration.tail_similarities[0]), float(calibration.missed_similarities[-1]), 400)
    wrong, right = calibration.fmr(grid), 1 - calibration.fnmr(grid)
    least = math.floor(math.log10(max(float(wrong.min()), 1e-9)))
    axes = Axes((float(least), 0.0), (0.0, 1.02))
    parts = [_line(axes, np.log10(wrong), right, "lk-line")]
    here = 1 - float(calibration.fnmr(threshold))
    x, y = axes.at(math.log10(rate), here)
    parts.append(f'<circle class="lk-dot" cx="{x:.1f}" cy="{y:.1f}" r="6"/>')
    powers = [(float(power), "1" if power == 0 else f"1e{power}") for power in range(least, 1)]
    shares = [(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    described = (
        f"At the threshold, where {rate:.3%} of pairs of strangers pass, {here:.1%} of pairs of one person do. "
        "The curve falls to the left, where fewer strangers pass."
    )
    names = "strangers taken for one person (log)", "one person recognised"
    return _chart("Receiver operating characteristic", described, _ticks(axes, powers, shares), parts, *names)


def reliability_chart(stated: Sequence[float], observed: Sequence[float], weight: Sequence[float]) -> str:
    """How often pairs are of one person, by the probability that was stated: on the diagonal both agree."""
    axes = Axes((0.0, 1.0), (0.0, 1.02))
    ideal = _line(axes, np.array([0.0, 1.0]), np.array([0.0, 1.0]), "lk-ideal")
    dots = []
    for x, y, share in zip(stated, observed, weight, strict=True):
        across, up = axes.at(x, y)
        dots.append(f'<circle class="lk-dot" cx="{across:.1f}" cy="{up:.1f}" r="{4 + 12 * math.sqrt(share):.1f}"/>')
    listed = "; ".join(f"stated {x:.0%}, found {y:.0%}" for x, y in zip(stated, observed, strict=True))
    ticks = [(share, f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    names = "probability stated", "share that is one person"
    return _chart("Reliability", f"{listed}.", _ticks(axes, ticks, ticks), [ideal, *dots], *names)


def reliability_of(calibration: Calibration, bins: int = 10) -> tuple[list[float], list[float], list[float]]:
    """Stated probability (even prior), share found and weight by bin, on the pairs that the calibration was fitted to.

    The share is that of genuine pairs in each bin where both kinds are weighted to halves.
    """
    low, high = calibration.tail_similarities[0], calibration.missed_similarities[-1]
    grid = np.linspace(float(low) - 1e-3, float(high) + 1e-3, 1200)
    genuine = np.diff(calibration.fnmr(grid))
    impostor = -np.diff(calibration.fmr(grid))
    probability = calibration.probability((grid[1:] + grid[:-1]) / 2)
    place = np.minimum((probability * bins).astype(int), bins - 1)
    both = np.maximum(genuine + impostor, 0.0)
    total = np.bincount(place, both, bins)
    kept = total > 1e-6
    stated = np.bincount(place, both * probability, bins)[kept] / total[kept]
    found = np.bincount(place, genuine, bins)[kept] / total[kept]
    return stated.tolist(), found.tolist(), (total[kept] / total.sum()).tolist()


def _heights(below: Floats) -> Floats:
    """From the share below each edge to the height between edges, smoothed over neighbours, the highest one 1."""
    mass = np.maximum(np.diff(below), 0.0)
    smooth = np.convolve(np.pad(mass, 1, mode="edge"), [0.25, 0.5, 0.25], "valid")
    heights: Floats = smooth / max(float(smooth.max()), 1e-12)
    return heights


def _usual(middles: Floats, heights: Floats) -> float:
    return float((middles * heights).sum() / heights.sum())


def _line(axes: Axes, x: Floats, y: Floats, kind: str) -> str:
    points = " ".join("{:.1f},{:.1f}".format(*axes.at(float(a), float(b))) for a, b in zip(x, y, strict=True))
    return f'<polyline class="{kind}" points="{points}"/>'


def _upright(axes: Axes, x: float, kind: str) -> str:
    (across, foot), (_, head) = axes.at(x, axes.y[0]), axes.at(x, axes.y[1])
    return f'<line class="{kind}" x1="{across:.1f}" y1="{foot:.1f}" x2="{across:.1f}" y2="{head:.1f}"/>'


def _label(axes: Axes, x: float, y: float, words: str) -> str:
    across, up = axes.at(x, y)
    left = across > WIDTH * 0.75
    anchor, shift = ("end", -6) if left else ("start", 6)
    return f'<text x="{across + shift:.1f}" y="{up:.1f}" text-anchor="{anchor}">{text(words)}</text>'


def _ticks(axes: Axes, x: Iterable[tuple[float, str]], y: Iterable[tuple[float, str]]) -> str:
    parts = []
    for value, words in x:
        across, foot = axes.at(value, axes.y[0])
        parts.append(f'<text x="{across:.1f}" y="{foot + 16:.1f}" text-anchor="middle">{text(words)}</text>')
    for value, words in y:
        left, up = axes.at(axes.x[0], value)
        parts.append(f'<line class="lk-grid" x1="{left:.1f}" y1="{up:.1f}" x2="{WIDTH - RIGHT}" y2="{up:.1f}"/>')
        parts.append(f'<text x="{left - 6:.1f}" y="{up + 4:.1f}" text-anchor="end">{text(words)}</text>')
    return "".join(parts)


def _chart(title: str, described: str, ticks: str, parts: Sequence[str], across: str, up: str) -> str:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    frame = f'<path class="lk-axis" d="M{LEFT} {TOP}V{HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'
    names = (
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">{text(across)}</text>'
        f'<text transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">{text(up)}</text>'
    )
    spoken = text(f"{title}. {described}")
    return (
        f'<svg class="lk-chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{spoken}">'
        f"{ticks}{frame}{''.join(parts)}{names}</svg>"
    )
