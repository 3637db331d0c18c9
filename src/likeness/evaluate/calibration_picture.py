"""A calibration as a picture: what similarities mean, and how true it is on people it has not seen."""

from __future__ import annotations

from typing import Any

import numpy as np

from likeness.calibration import Calibration
from likeness.evaluate.pictures import GREEN, GREY, RED, figure


def draw_calibration(calibration: Calibration) -> bytes:
    """A PNG: probability and false-match rate by similarity; beside them the reliability by cross-validation."""
    checked = calibration.notes.get("cross_validation")
    return figure(lambda panels: _plot(panels, calibration, checked), size=(11.5, 4.6), panels=2)


def _plot(panels: Any, calibration: Calibration, checked: Any) -> None:
    left, right = panels
    low = float(np.interp(0.5, calibration.tail_rates[::-1], calibration.tail_similarities[::-1]))
    high = float(calibration.missed_similarities[-1])
    similarity = np.linspace(low, max(high, low + 1e-3), 500)
    left.plot(similarity, calibration.probability(similarity), color=GREEN, lw=2, label="probability (prior one half)")
    left.set(xlabel="cosine similarity", ylabel="probability that it is one person", ylim=(-0.02, 1.02))
    rates = left.twinx()
    rates.plot(similarity, calibration.fmr(similarity), color=RED, lw=1.5, label="false-match rate")
    rates.set_yscale("log")
    rates.set_ylabel("false-match rate")
    rates.grid(visible=False)
    rates.axhline(
        calibration.finest_rate, color=GREY, ls=":", label=f"finest rate supported: {calibration.finest_rate:.2g}"
    )
    lines = [*left.get_legend_handles_labels()[0], *rates.get_legend_handles_labels()[0]]
    left.legend(lines, [line.get_label() for line in lines], loc="center right", fontsize=8, frameon=True)
    right.plot([0, 1], [0, 1], color=GREY, ls=":", label="as stated")
    right.set(xlabel="probability stated", ylabel="share that is one person", xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
    if checked is None:
        right.text(0.5, 0.4, "too few people for a cross-validation", ha="center", color=GREY)
    else:
        found = checked["reliability"]
        label = f"people not seen: expected error {checked['expected_calibration_error']:.2%}"
        size = [18 + 500 * weight for weight in found["weight"]]
        right.scatter(found["stated"], found["observed"], s=size, color=GREEN, alpha=0.75, label=label)
    legend = right.legend(loc="upper left", fontsize=9)
    for handle in legend.legend_handles[1:]:
        handle.set_sizes([30])
