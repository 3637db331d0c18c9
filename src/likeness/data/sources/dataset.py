"""A data set of Likeness as a source: its manifest says all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from likeness.data.dataset import FACTS, Dataset
from likeness.data.manifest import Row
from likeness.data.sources.base import Skipped, Source


@dataclass(frozen=True)
class OwnDataset(Source):
    """A folder that `likeness data import`, `crop` or `pull` made."""

    name: ClassVar = "dataset"
    title: ClassVar = "A data set of Likeness"
    licence: ClassVar = "as its manifest says"
    layout: ClassVar = "dataset.json and manifest.csv beside the photos"
    has: ClassVar = ("identity", "labels", "split", "boxes")
    how_to_get: ClassVar = "likeness data import, crop or pull"

    def recognises(self, folder: Path) -> bool:
        """Whether it says that it is one."""
        return (folder / FACTS).is_file()

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """The rows whose files are there."""
        for row in Dataset.read(folder).rows:
            if not (folder / row.path).is_file():
                yield Skipped(row.path, "in the manifest, but not there")
            else:
                # The box of a crop is one in the photo that it was cut from.
                yield replace(row, face=None) if row.photo else row
