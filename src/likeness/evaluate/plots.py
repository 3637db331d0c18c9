"""The evaluation as pictures: ROC, score histograms, reliability."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import ExtraMissing
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.lfw import Lfw
from likeness.evaluate.protocols import similarities


def plot_lfw(report: dict[str, Any], lfw: Lfw, embedded: Embedded, target: Path) -> None:
    """Write one PNG with four panels.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'") from error
    scores = similarities(embedded, lfw.pairs.first, lfw.pairs.second)
    genuine = scores[lfw.pairs.genuine & np.isfinite(scores)]
    impostor = scores[~lfw.pairs.genuine & np.isfinite(scores)]
    figure = Figure(figsize=(11, 9), layout="constrained")
    panels = figure.subplots(2, 2)
    _roc(panels[0, 0], genuine, impostor)
    _histogram(panels[0, 1], genuine, impostor, report)
    if "calibration" in report["verification"]:
        stated = report["verification"]["calibration"]["reliability"]
        _reliability(panels[1, 0], stated, "Verification: probability stated and observed")
        found = report["identification"]["without_calibration_people"]["default"]["identification_reliability"]
        _reliability(panels[1, 1], found, "Identification: probability stated and observed")
    figure.suptitle(f"LFW, {report['models']['embedder']} after {report['models']['detector']}")
    figure.savefig(target, dpi=110)


def _roc(axes: Any, genuine: np.ndarray, impostor: np.ndarray) -> None:
    thresholds = np.unique(np.concatenate([genuine, impostor]))
    matched = 1 - np.searchsorted(np.sort(impostor), thresholds) / len(impostor)
    accepted = 1 - np.searchsorted(np.sort(genuine), thresholds) / len(genuine)
    axes.semilogx(np.maximum(matched, 1 / len(impostor) / 2), accepted, color="#0b6e4f")
    axes.set(title="ROC", xlabel="false-match rate", ylabel="true-accept rate", ylim=(0.5, 1.005))
    axes.grid(alpha=0.3)


def _histogram(axes: Any, genuine: np.ndarray, impostor: np.ndarray, report: dict[str, Any]) -> None:
    bins = np.linspace(min(genuine.min(), impostor.min()), 1, 80).tolist()
    axes.hist(impostor, bins, alpha=0.6, label="two people", color="#c1440e")
    axes.hist(genuine, bins, alpha=0.6, label="one person", color="#0b6e4f")
    if "calibration" in report["verification"]:
        axes.axvline(report["verification"]["calibration"]["default_threshold"], color="black", linestyle=":")
    axes.set(title="Similarity of the official pairs", xlabel="cosine")
    axes.legend()


def _reliability(axes: Any, found: dict[str, Any], title: str) -> None:
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    axes.scatter(
        found["stated"], found["observed"], s=[20 + 300 * weight for weight in found["weight"]], color="#0b6e4f"
    )
    axes.set(title=f"{title}\nexpected error {found['error']:.4f}", xlabel="stated", ylabel="observed")
    axes.grid(alpha=0.3)
