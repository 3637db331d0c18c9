"""All checks of a data set together: labels against faces, photos that are there twice, balance and leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from likeness.bundle import Bundle
from likeness.calibration import Calibration
from likeness.data.balance import Balance, balance_of
from likeness.data.coherence import TRUST, Coherence, find_incoherent
from likeness.data.dataset import Dataset
from likeness.data.duplicates import Duplicate, find_duplicates
from likeness.data.embeddings import embed_crops
from likeness.data.leaks import Leaks, find_leaks, name_variants
from likeness.errors import CalibrationError, ExtraMissing

Told = Callable[[int, int], None]
Watch = Callable[[str], AbstractContextManager[Told]]
"""Opens the progress of one kind of work, named in words."""


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What the checks found.

    Attributes:
        checked: the data set without the rows whose files are `missing`.
        variants: names that may be one person's. coherence: None where no embeddings were asked for.
    """

    checked: Dataset
    missing: tuple[str, ...]
    balance: Balance
    splits: dict[str, Balance]
    duplicates: tuple[Duplicate, ...]
    variants: tuple[tuple[str, ...], ...]
    leaks: Leaks
    coherence: Coherence | None

    @property
    def clean(self) -> bool:
        """Whether nothing was found that should be mended."""
        doubted = self.coherence is not None and bool(self.coherence.suspects)
        return not (self.missing or self.duplicates or self.leaks.certain or doubted)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {
            "clean": self.clean,
            "missing": list(self.missing),
            "balance": self.balance.as_dict(),
            "splits": {name: balance.as_dict() for name, balance in self.splits.items()},
            "duplicates": [pair.as_dict() for pair in self.duplicates],
            "name_variants": [list(names) for names in self.variants],
            "leaks": self.leaks.as_dict(),
        }
        if self.coherence is not None:
            data["suspects"] = [suspect.as_dict() for suspect in self.coherence.suspects]
            data["alike"] = [pair.as_dict() for pair in self.coherence.alike]
            data["alike_by_chance_at_most"] = round(self.coherence.chance_alike, 2)
        return data


def check_dataset(
    dataset: Dataset,
    bundle: Bundle | None,
    *,
    watch: Watch,
    trust: float = TRUST,
    near: bool = True,
    workers: int = 0,
) -> Report:
    """Check a data set; with an embedder's bundle the labels too. Rows whose files are gone are listed and left out.

    Without `near` photos count as the same only where their files are equal.

    Raises:
        DatasetError: a file cannot be read, or the crops are not aligned for the bundle.
        CalibrationError: the bundle carries no calibration.
    """
    present = present_rows(dataset)
    there = {row.path for row in present.rows}
    missing = tuple(row.path for row in dataset.rows if row.path not in there)
    with watch("looking for photos that are there twice") as progress:
        duplicates = find_duplicates(present, near=near, workers=workers, progress=progress)
    coherence = None if bundle is None else coherence_of(present, bundle, watch=watch, trust=trust, workers=workers)
    splits = {
        name: balance_of(row for row in dataset.rows if row.split == name)
        for name in ("train", "validation", "test", "")
        if any(row.split == name for row in dataset.rows)
    }
    return Report(
        checked=present,
        missing=missing,
        balance=balance_of(dataset.rows),
        splits=splits,
        duplicates=tuple(duplicates),
        variants=tuple(name_variants(row.identity for row in dataset.rows)),
        leaks=find_leaks(dataset.rows, duplicates, coherence.alike if coherence else ()),
        coherence=coherence,
    )


def present_rows(dataset: Dataset) -> Dataset:
    """The data set without the rows whose files are gone."""
    rows = tuple(row for row in dataset.rows if dataset.path(row).is_file())
    return Dataset(dataset.folder, dataset.facts, rows)


def coherence_of(
    dataset: Dataset, bundle: Bundle, *, watch: Watch, trust: float = TRUST, workers: int = 0
) -> Coherence:
    """Whether labels agree with faces, by a bundle's embeddings and calibration.

    Raises:
        CalibrationError: the bundle carries none, or one of another embedding space.
    """
    calibration = calibration_for_labels(bundle)
    with watch("embedding crops") as progress:
        vectors = embed_crops(dataset, bundle, workers=workers, progress=progress)
    return find_incoherent(dataset.rows, vectors, calibration, trust=trust)


def calibration_for_labels(bundle: Bundle) -> Calibration:
    """What a bundle's similarities mean, by which labels and splits are judged.

    Raises:
        CalibrationError: the bundle carries no calibration, or one of another embedding space.
    """
    name = bundle.manifest.name
    if not bundle.has("calibration"):
        raise CalibrationError(
            f"the model bundle {name} carries no calibration, so its similarities say nothing about labels",
            hint="calibrate it, name another with --model, or leave the labels out with --no-embeddings",
        )
    calibration = Calibration.read(bundle.path("calibration"))
    if bundle.manifest.embedding is None or calibration.space != bundle.manifest.embedding.space:
        raise CalibrationError(f"the calibration of {name} was fitted for another embedding space")
    return calibration


def plot_check(report: Report, target: Path) -> None:
    """Write photos per person, and similarities to the own and to the nearest other person, as one PNG.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'") from error
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    counts = sorted(_counts(report.checked), reverse=True)
    left.step(np.arange(1, len(counts) + 1), counts, where="mid", color="tab:blue")
    left.set(xscale="log", yscale="log", xlabel="people, most photos first", ylabel="photos", title="Photos per person")
    coherence = report.coherence
    if coherence is None:
        right.set_axis_off()
    else:
        own, other = (values[np.isfinite(values)] for values in (coherence.own, coherence.other))
        bins = np.linspace(min(own.min(initial=1.0), other.min(initial=1.0)), 1.0, 80).tolist()
        right.hist(other, bins, alpha=0.6, label="nearest other person", color="tab:gray")
        right.hist(own, bins, alpha=0.6, label="own person, other photos", color="tab:blue")
        for suspect in coherence.suspects:
            right.axvline(suspect.own, ymax=0.06, color="tab:red", linewidth=1)
        right.axvline(coherence.safe, color="black", linewidth=1, linestyle="--", label="suggested from here on")
        title = f"Similarity of each photo; red: {len(coherence.suspects)} labels doubted"
        right.set(yscale="log", xlabel="mean cosine similarity", ylabel="photos", title=title)
        right.legend(loc="upper left")
    figure.suptitle(report.checked.facts.name)
    figure.savefig(target, dpi=110, format="png")


def _counts(dataset: Dataset) -> Iterator[int]:
    per_person: dict[str, int] = {}
    for row in dataset.rows:
        if row.identity:
            per_person[row.identity] = per_person.get(row.identity, 0) + 1
    yield from per_person.values()
