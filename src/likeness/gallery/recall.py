"""How much of what exact search finds a gallery's answers hold: measured, not assumed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from likeness.gallery.base import Finding
from likeness.types import Vector

FIRST_WANTED = 0.99
TEN_WANTED = 0.9
_APART = 0.75
"""How far a probe is moved from the face it comes from, in units of the face's length: to a cosine of 0.8."""


def probes_near(vectors: Vector) -> Vector:
    """Unit vectors `(n, d)` near those of enrolled faces, as other photos of these people would be, the same each time.

    An enrolled vector itself would say little: every index finds what is exactly there.
    """
    noise = np.random.default_rng(0).standard_normal(vectors.shape)
    moved = vectors + _APART * noise / np.linalg.norm(noise, axis=-1, keepdims=True)
    probes: Vector = (moved / np.linalg.norm(moved, axis=-1, keepdims=True)).astype(np.float32)
    return probes


def recall_finding(got: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]]) -> Finding:
    """The finding `search` of `Gallery.check`.

    Given, for each probe, the similarities of the first ten people as search gives them, and as exact search does: a
    place counts as found where somebody as similar has it.
    """
    if not wanted:
        return Finding("search", True, "no faces")
    first = float(np.mean([_share(row[:1], truth[:1]) for row, truth in zip(got, wanted, strict=True)]))
    ten = float(np.mean([_share(row, truth) for row, truth in zip(got, wanted, strict=True)]))
    message = f"recall@1 {first:.4f} and recall@10 {ten:.4f} against exact search, {len(wanted)} probes"
    return Finding("search", first >= FIRST_WANTED and ten >= TEN_WANTED, message)


def _share(got: Sequence[float], wanted: Sequence[float]) -> float:
    """The share of the wanted places that went to somebody as similar as the last of them."""
    return sum(one >= wanted[-1] - 1e-6 for one in got) / len(wanted) if wanted else 1.0
