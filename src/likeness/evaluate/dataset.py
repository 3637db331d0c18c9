"""The evaluation of a bundle on a data set of crops, from end to end: crops in, one report out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness import __version__
from likeness.bundle import Bundle
from likeness.calibration import Calibration
from likeness.data.dataset import CropFacts, Dataset
from likeness.data.manifest import Row, Split
from likeness.data.splits import person_key
from likeness.errors import BundleCorrupt, CalibrationError, DatasetError, ModelError, PhotoError
from likeness.evaluate.bootstrap import ROUNDS
from likeness.evaluate.classes import Classes
from likeness.evaluate.embeddings import PART, Embedded, read_part, tag_of, write_part
from likeness.evaluate.measure import Extras, measure
from likeness.evaluate.pairs import all_pairs, read_pairs
from likeness.evaluate.sample import Sample, labels_of
from likeness.settings import Settings
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo

EVERYTHING = "all"
TEMPLATE_TOLERANCE = 0.01
"""So far, as a share of the side, the landmarks' places of crops and of a bundle may lie apart."""
BATCH = 16
REFUSED = "refused.csv"
Told = Callable[[int, int], None]


def embed_dataset(
    bundle: Bundle, dataset: Dataset, rows: Sequence[Row], cache: Path, progress: Told, *, threads: int = 0
) -> Embedded:
    """The embeddings of crops, in the rows' order; a crop that cannot be read counts as one without a face.

    Crops of another side than the bundle's are resized. Parts are kept under `cache`, named by the bundle's networks,
    the code that runs them and the crops' digests, and read again instead of made.

    Raises:
        DatasetError: the data set holds no crops, or crops that were aligned otherwise than the bundle wants them.
        ModelError: the bundle is no embedder.
    """
    expect_template(bundle, dataset)
    folder = cache / tag_of(("crops", bundle.fingerprint, *(_line(dataset, row) for row in rows)))
    folder.mkdir(parents=True, exist_ok=True)
    embedder = bundle.load(threads=threads)
    parts = []
    for start in range(0, len(rows), PART):
        path = folder / f"{start:07d}.npz"
        if not path.exists():
            found: list[tuple[Vector | None, int]] = []
            for at in range(start, min(start + PART, len(rows)), BATCH):
                batch = [dataset.path(row) for row in rows[at : min(at + BATCH, start + PART)]]
                found += _embed(embedder, batch)
                progress(at + len(batch), len(rows))
            write_part(path, found, embedder.dimension)
        parts.append(read_part(path))
        progress(min(start + PART, len(rows)), len(rows))
    if not parts:
        return Embedded(np.empty((0, embedder.dimension), np.float32), np.empty(0, np.intp))
    return Embedded(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def evaluate_dataset(
    bundle: Bundle,
    dataset: Dataset,
    split: str = "test",
    *,
    cache: Path,
    progress: Told = lambda done, total: None,
    pairs: Path | None = None,
    triplets: Path | None = None,
    settings: Settings | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    """The report on a split (`all` takes every row with an identity): see docs/evaluation.md for what is in it.

    Raises:
        DatasetError: the split has no people to compare, or a file of pairs or triplets is not about it.
    """
    rows = rows_of(dataset, split)
    kept = set(map(id, rows))
    settings = settings or Settings.load()
    sample = Sample(
        people=np.array([person_key(row.identity) for row in rows]),
        embedded=embed_dataset(bundle, dataset, rows, cache, progress, threads=settings.threads),
        paths=[row.path for row in rows],
        labels=labels_of(rows),
    )
    outside = [row for row in dataset.rows if id(row) not in kept]
    chosen = all_pairs(sample, seed=seed) if pairs is None else read_pairs(pairs, rows, sample, outside, seed=seed)
    report: dict[str, Any] = {
        "kind": "dataset",
        "likeness": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "model": model_facts(bundle),
        "data": _data_facts(dataset, split, sample, rows),
        "seed": seed,
        "rounds": rounds,
    }
    extras = Extras(calibration_of(bundle), Classes.of(bundle), rows, triplets)
    return report | measure(sample, chosen, extras, settings, rounds=rounds, seed=seed)


def rows_of(dataset: Dataset, split: str) -> tuple[Row, ...]:
    """The rows of a split, or of `all`, that say whom they show.

    Raises:
        DatasetError: there are none.
    """
    if split == EVERYTHING:
        rows = dataset.rows
    else:
        known: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test"}
        if split not in known:
            raise DatasetError(f"no split is called {split!r}", hint="known: train, validation, test, all")
        rows = dataset.of_split(known[split])
    named = tuple(row for row in rows if row.identity)
    if not named:
        raise DatasetError(f"no row of {str(dataset.folder)!r} says whom it shows", hint="an evaluation needs names")
    return named


def expect_template(bundle: Bundle, dataset: Dataset, *, embedder: bool = True) -> None:
    """Let a data set pass whose crops were aligned as the bundle wants them.

    Raises:
        DatasetError: it holds no crops, or crops that were aligned otherwise.
        ModelError: the bundle is no embedder where one is wanted, or takes no aligned crops.
    """
    manifest = bundle.manifest
    if manifest.input is None or manifest.alignment is None or (embedder and manifest.embedding is None):
        raise ModelError(
            f"{manifest.name} {'is no embedder' if embedder else 'takes no aligned crops'}",
            hint="`likeness models list` says what each model does; see --model",
        )
    crops = dataset.facts.crops
    advice = f"crop the photos for this model: likeness data crop --model {manifest.name} PHOTOS FOLDER"
    if crops is None:
        raise DatasetError(f"the data set {str(dataset.folder)!r} holds photos, not crops", hint=advice)
    apart = template_gap(crops, manifest.alignment.template_px, manifest.input.side_px)
    if apart > TEMPLATE_TOLERANCE:
        raise DatasetError(
            f"the crops of {str(dataset.folder)!r} were aligned otherwise than {manifest.name} wants them: "
            f"landmarks lie up to {apart:.1%} of the side apart",
            hint=advice,
        )


def template_gap(crops: CropFacts, template_px: Sequence[tuple[float, float]], side_px: int) -> float:
    """How far, as a share of the side, landmarks lie at most from where a template has them."""
    made = np.array(crops.template_px) / crops.side_px
    wanted = np.array(template_px) / side_px
    return float(np.abs(made - wanted).max()) if made.shape == wanted.shape else 1.0


def calibration_of(bundle: Bundle) -> Calibration | None:
    """The bundle's calibration; None where it carries none.

    Raises:
        CalibrationError: it is malformed, or was fitted for another embedding space.
    """
    if not bundle.has("calibration"):
        return None
    calibration = Calibration.read(bundle.path("calibration"))
    space = bundle.manifest.embedding.space if bundle.manifest.embedding else ""
    if calibration.space != space:
        raise CalibrationError(
            f"the calibration of {bundle.manifest.name} was fitted for embeddings of {calibration.space!r}, "
            f"not of {space!r}",
            hint="fit one: likeness calibrate",
        )
    return calibration


def model_facts(bundle: Bundle) -> dict[str, Any]:
    """What a report says of the model."""
    manifest = bundle.manifest
    if manifest.embedding is None or manifest.input is None:
        raise BundleCorrupt(f"the bundle {manifest.name} lacks embedding or input in its manifest")
    return {
        "name": manifest.name,
        "version": manifest.version,
        "summary": manifest.summary,
        "space": manifest.embedding.space,
        "dimension": manifest.embedding.dimension,
        "side_px": manifest.input.side_px,
        "megabytes": round(sum(f.bytes for f in manifest.files.values() if f.path.endswith(".onnx")) / 1e6, 2),
        "licence_of_weights": manifest.licence.weights,
        "training_data": manifest.licence.data,
        "calibrated": bundle.has("calibration"),
    }


def _data_facts(dataset: Dataset, split: str, sample: Sample, rows: Sequence[Row]) -> dict[str, Any]:
    photos = np.bincount(sample.codes)
    return {
        "name": dataset.facts.name,
        "source": dataset.facts.source,
        "licence": dataset.facts.licence,
        "split": split,
        "digest": replace(dataset, rows=tuple(rows)).digest,
        "photos": len(rows),
        "people": len(sample.names),
        "people_with_two_photos": int((photos > 1).sum()),
        "most_photos_of_one_person": int(photos.max()),
        "unreadable": int((~sample.embedded.found).sum()),
        "people_also_in_train": _also_in_train(dataset, split, sample),
        "refused_when_cropped": _refused(dataset.folder / REFUSED),
        "crop_side_px": dataset.facts.crops.side_px if dataset.facts.crops else None,
        "detector": dataset.facts.crops.detector if dataset.facts.crops else None,
    }


def _also_in_train(dataset: Dataset, split: str, sample: Sample) -> int | None:
    """How many of these people the split train has too; None where train itself is measured."""
    if split in ("train", EVERYTHING):
        return None
    learnt = {person_key(row.identity) for row in dataset.rows if row.identity and row.split == "train"}
    return len(learnt & set(sample.names.tolist()))


def _refused(path: Path) -> int | None:
    try:
        return max(len(path.read_text("utf-8").splitlines()) - 1, 0)
    except FileNotFoundError:
        return None


def _line(dataset: Dataset, row: Row) -> str:
    if row.sha256:
        return f"{row.path} {row.sha256}"
    try:
        facts = dataset.path(row).stat()
    except OSError:
        return f"{row.path} missing"
    return f"{row.path} {facts.st_size} {facts.st_mtime_ns}"


def _embed(embedder: Any, paths: Sequence[Path]) -> list[tuple[Vector | None, int]]:
    crops = [read_crop(path, embedder.side_px) for path in paths]
    readable = [crop for crop in crops if crop is not None]
    vectors = iter(embedder.embed(np.stack(readable)) if readable else ())
    return [(None, 0) if crop is None else (next(vectors), 1) for crop in crops]


def read_crop(path: Path, side_px: int) -> NDArray[np.uint8] | None:
    """A crop `(side_px, side_px, 3)`, resized if need be; None where it cannot be decoded."""
    try:
        pixels: Pixels = decode_photo(path).pixels
    except PhotoError:
        return None
    if pixels.shape[:2] == (side_px, side_px):
        return pixels
    # Pillow's filters grow with the reduction, so that nothing aliases.
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.BICUBIC))
