"""Class accuracy on photos that a classifier did not learn, of people whom it did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import BundleCorrupt, DatasetError
from likeness.evaluate.classes import Classes, classify
from likeness.evaluate.dataset import Told, embed_dataset
from likeness.evaluate.sample import Sample


def evaluate_classes(
    bundle: Bundle,
    dataset: Dataset,
    rows: Sequence[Row],
    *,
    cache: Path,
    progress: Told = lambda done, total: None,
    threads: int = 0,
) -> dict[str, Any]:
    """How often the bundle's classifier names the person on a photo rightly, first or among five; see `classify`.

    Raises:
        BundleCorrupt: it carries no classifier.
        DatasetError: no photo shows anybody whom it knows.
    """
    classes = Classes.of(bundle)
    if classes is None:
        raise BundleCorrupt(
            f"the bundle {bundle.manifest.name} carries no classifier", hint="likeness export RUN --keep-classes"
        )
    sample = Sample(
        people=np.array([person_key(row.identity) for row in rows]),
        embedded=embed_dataset(bundle, dataset, rows, cache, progress, threads=threads),
        paths=[row.path for row in rows],
    )
    found = classify(sample, classes)
    if found is None:
        raise DatasetError(f"none of the {len(rows)} photos shows anybody whom the classifier knows")
    return found


def rows_listed(dataset: Dataset, listing: Path) -> tuple[Row, ...]:
    """The rows whose paths a file lists, a line each.

    Raises:
        DatasetError: it names a photo that the data set does not have, or none at all.
    """
    try:
        wanted = list(dict.fromkeys(line for line in listing.read_text("utf-8").splitlines() if line))
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the list of photos {str(listing)!r} cannot be read: {error}") from None
    known = {row.path: row for row in dataset.rows if row.identity}
    missing = [path for path in wanted if path not in known]
    if missing or not wanted:
        what = f"names {len(missing)} photos that {str(dataset.folder)!r} does not have" if missing else "is empty"
        raise DatasetError(
            f"{str(listing)!r} {what}", hint="it lists paths of the data set's manifest.csv, a line each"
        )
    return tuple(known[path] for path in wanted)
