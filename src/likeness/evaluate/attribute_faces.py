"""What a model says of age and gender on a data set's crops: to measure it, and to calibrate it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.apparent import AttributeCalibration, fit_attributes
from likeness.bundle import ATTRIBUTES, Bundle
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row, Split
from likeness.errors import CalibrationError, DatasetError, ModelError
from likeness.evaluate.dataset import EVERYTHING, Told, expect_template, read_crop
from likeness.evaluate.predictions import FEMALE, Predictions, known_of
from likeness.evaluate.probabilities import hash_people, noted_among
from likeness.spread import spread
from likeness.types import Pixels
from likeness.vision.attributes import AttributeLogits, Teller
from likeness.vision.session import available_cores

BATCH = 16


def predict_faces(
    bundle: Bundle,
    dataset: Dataset,
    split: str = "test",
    *,
    progress: Told = lambda done, total: None,
    threads: int = 0,
) -> tuple[Predictions, dict[str, Any]]:
    """What the bundle tells of a split's labelled crops, and facts on the calibration behind it for the report.

    Raises:
        DatasetError: there are none, or they are aligned otherwise than the bundle wants them.
        ModelError: the bundle tells no age and gender. CalibrationError: it is not calibrated for it.
    """
    teller = Teller(bundle)
    rows, logits = _seen(bundle, dataset, split, progress, threads)
    told = teller.tell(logits)
    known = [known_of(row) for row in rows]
    found = Predictions(
        age_years=np.array([age for age, _ in known]),
        gender=np.array([gender for _, gender in known]),
        predicted_age_years=np.array([age.years for age, _ in told]),
        predicted_gender=np.array([gender.label for _, gender in told]),
        gender_probability=np.array([gender.probability for _, gender in told]),
        people=np.array([row.identity for row in rows]),
        low_age_years=np.array([age.low for age, _ in told]),
        high_age_years=np.array([age.high for age, _ in told]),
        groups=np.array([str(row.label("group") or "") for row in rows]),
    )
    return found, _behind(AttributeCalibration.read(bundle.path(ATTRIBUTES)), bundle, dataset, rows, split)


def calibrate_attributes(
    bundle: Bundle,
    dataset: Dataset,
    split: str = "validation",
    *,
    progress: Told = lambda done, total: None,
    own: bool = False,
    threads: int = 0,
) -> AttributeCalibration:
    """Fit on a split's labelled crops; `own` says that the model never saw this data, so that any split will do.

    The notes hold salted digests of the photos, by which an evaluation knows them again (of own data none).

    Raises:
        CalibrationError: the split trained or tests the model, or too few faces have labels.
        DatasetError, ModelError: as `predict_faces`.
    """
    if split in ("train", "test", EVERYTHING) and not own:
        raise CalibrationError(
            f"photos of the split {split!r} must not calibrate: intervals would look better than they are",
            hint="take --split validation; --own says that the model never saw this data",
        )
    part = bundle.manifest.attributes
    if part is None:
        raise ModelError(f"the model {bundle.manifest.name} tells no age and gender")
    rows, logits = _seen(bundle, dataset, split, progress, threads)
    known = [known_of(row) for row in rows]
    words = "all rows" if split == EVERYTHING else f"split {split}"
    notes: dict[str, Any] = {"data_digest": dataset.digest, "photos": len(rows)}
    if not own:
        notes["photo_hashes"] = hash_people(map(photo_key, rows))
    return fit_attributes(
        logits.age,
        logits.gender,
        part.years,
        [age for age, _ in known],
        [FEMALE[gender] for _, gender in known],
        data=f"{dataset.facts.name}, {words}: {len(rows):,} photos",
        notes=notes,
    )


def photo_key(row: Row) -> str:
    """What a photo is known again by: its file's digest, or its path where there is none."""
    return row.sha256 or row.photo or row.path


def _seen(
    bundle: Bundle, dataset: Dataset, split: str, progress: Told, threads: int
) -> tuple[list[Row], AttributeLogits]:
    """The labelled rows whose crops can be read, and what the bundle's network says of them."""
    if bundle.manifest.attributes is None:
        raise ModelError(
            f"the model {bundle.manifest.name} tells no age and gender",
            hint="`likeness models list` says what each model does",
        )
    expect_template(bundle, dataset, embedder=False)
    rows = _labelled(dataset, split)
    network = bundle.load(threads=1)

    def work(batch: Sequence[Row]) -> tuple[list[Row], AttributeLogits | None]:
        pairs = [(row, read_crop(dataset.path(row), network.side_px)) for row in batch]
        crops: list[Pixels] = [crop for _, crop in pairs if crop is not None]
        readable = [row for row, crop in pairs if crop is not None]
        return readable, network.attribute_logits(np.stack(crops)) if crops else None

    kept: list[Row] = []
    parts: list[AttributeLogits] = []
    for readable, logits in spread(work, _batches(rows), threads or available_cores()):
        kept += readable
        parts += [logits] if logits is not None else []
        progress(len(kept), len(rows))
    if not kept:
        raise DatasetError(f"none of the {len(rows):,} crops of {str(dataset.folder)!r} can be read")
    ages: NDArray[np.float32] = np.concatenate([part.age for part in parts])
    return kept, AttributeLogits(ages, np.concatenate([part.gender for part in parts]))


def _labelled(dataset: Dataset, split: str) -> list[Row]:
    rows = dataset.rows if split == EVERYTHING else dataset.of_split(_as_split(split))
    known = [known_of(row) for row in rows]
    labelled = [row for row, (age, gender) in zip(rows, known, strict=True) if math.isfinite(age) or gender]
    if not labelled:
        raise DatasetError(
            f"no row of the split {split!r} of {str(dataset.folder)!r} has an age or a gender",
            hint="the labels are called age_years and gender (female, male)",
        )
    return labelled


def _as_split(name: str) -> Split:
    for split in ("train", "validation", "test"):
        if split == name:
            return split
    raise DatasetError(f"there is no split {name!r}", hint="name train, validation, test or all")


def _batches(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + BATCH] for start in range(0, len(rows), BATCH))


def _behind(
    calibration: AttributeCalibration, bundle: Bundle, dataset: Dataset, rows: Sequence[Row], split: str
) -> dict[str, Any]:
    """What the figures rest on: the calibration's data, and whether the model or it saw these photos."""
    shared = noted_among(calibration.notes.get("photo_hashes"), map(photo_key, rows))
    origin = bundle.manifest.origin.get("data")
    same = isinstance(origin, dict) and origin.get("digest") == dataset.digest
    learnt_or_shared = bool(shared) or split in ("train", EVERYTHING)
    return {
        "fitted_on": calibration.data,
        "photos_shared": shared,
        # Of data that was put together or split otherwise than what the model learnt nobody knows what it learnt.
        "honest": False if learnt_or_shared else True if same and shared is not None else None,
        "trained_on_this_data": same,
    }
