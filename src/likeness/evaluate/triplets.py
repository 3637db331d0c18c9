"""Match accuracy as Persona defines it: the share of triplets whose anchor is nearer to its positive."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.data.manifest import Row
from likeness.data.triplets import Triplet, make_triplets, read_triplets
from likeness.errors import DatasetError
from likeness.evaluate.bootstrap import ROUNDS, share_interval
from likeness.evaluate.sample import Sample

COUNT = 10_000


def match_triplets(
    sample: Sample,
    rows: Sequence[Row],
    file: Path | None = None,
    *,
    count: int = COUNT,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    """Match accuracy on the triplets of a file, or on `count` seeded ones; ties and photos without a face are wrong.

    The interval resamples the anchors' people.

    Raises:
        DatasetError: the file names photos that are not among the rows.
        InputError: no triplets can be made of the rows.
    """
    triplets = make_triplets(rows, count, seed) if file is None else read_triplets(file)
    places = places_of(triplets, rows)
    return {
        "protocol": f"{count:,} triplets made with seed {seed}"
        if file is None
        else f"{len(triplets):,} triplets of {file.name}",
        "triplets": len(places),
        "chance": 0.5,
    } | match_accuracy(sample, places, rounds=rounds, seed=seed)


def match_accuracy(sample: Sample, places: NDArray[np.intp], *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any]:
    """The share of triplets `(t, 3)` (places of anchor, positive, negative) that are right, and its interval."""
    near = sample.similarities(places[:, 0], places[:, 1])
    far = sample.similarities(places[:, 0], places[:, 2])
    finite = np.isfinite(near) & np.isfinite(far)
    right = finite & (near > far)
    anchors = sample.codes[places[:, 0]]
    totals = np.bincount(anchors, minlength=len(sample.names))
    hits = np.bincount(anchors, right, len(sample.names))
    used = totals > 0
    return {
        "match_accuracy": float(right.mean()),
        "match_accuracy_interval": share_interval(hits[used], totals[used], rounds=rounds, seed=seed),
        "people": int(used.sum()),
        "mean_margin": float((near[finite] - far[finite]).mean()) if finite.any() else None,
    }


def places_of(triplets: Sequence[Triplet], rows: Sequence[Row]) -> NDArray[np.intp]:
    """Each triplet's three places among the rows `(t, 3)`.

    Raises:
        DatasetError: a photo is not among them, or there are no triplets.
    """
    known = {row.path: place for place, row in enumerate(rows)}
    missing = sorted({path for t in triplets for path in (t.anchor, t.positive, t.negative)} - known.keys())
    if missing or not triplets:
        what = f"{len(missing):,} photos that are not evaluated, {missing[0]!r} among them" if missing else "nothing"
        raise DatasetError(
            f"the triplets name {what}", hint="take triplets of the same data set and split, or --split all"
        )
    return np.array([[known[t.anchor], known[t.positive], known[t.negative]] for t in triplets], np.intp)
