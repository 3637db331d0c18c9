"""Labeled Faces in the Wild: its folders, its official pairs, and who is in them.

Huang et al. 2007, "Labeled Faces in the Wild"; view 2 of the protocol: ten folds of 300 genuine and 300 impostor
pairs, no person in two folds.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.errors import DatasetError

DATA_VARIABLE = "LIKENESS_DATA"
DEFAULT_DATA = Path("../shared/data")


@dataclass(frozen=True)
class Lfw:
    """The photos under `folder` (one folder a person) and the pairs of `pairs_file`."""

    folder: Path
    pairs_file: Path

    @classmethod
    def find(cls, data: Path | None = None) -> Lfw:
        """LFW below a folder of data sets: `lfw/` and `lfw_pairs.txt` (default: `LIKENESS_DATA`).

        Raises:
            DatasetError: they are not there.
        """
        root = data or Path(os.environ.get(DATA_VARIABLE, DEFAULT_DATA))
        found = cls(root / "lfw", root / "lfw_pairs.txt")
        if not (found.folder.is_dir() and found.pairs_file.is_file()):
            raise DatasetError(
                f"no LFW under {root}: expected the folder lfw (one folder a person) and the file lfw_pairs.txt",
                hint=f"name the folder with --data or {DATA_VARIABLE}",
            )
        return found

    @cached_property
    def photos(self) -> list[Path]:
        """All photos, in order of their path."""
        found = sorted(self.folder.glob("*/*.jpg"))
        if not found:
            raise DatasetError(f"{self.folder} holds no photos (expected PERSON/PERSON_0001.jpg)")
        return found

    @cached_property
    def people(self) -> NDArray[np.str_]:
        """Name of each photo's person `(n,)`."""
        return np.array([path.parent.name for path in self.photos])

    @cached_property
    def pairs(self) -> Pairs:
        """The official pairs, as indices into `photos`."""
        places = {path.name: index for index, path in enumerate(self.photos)}
        lines = [line.split() for line in self.pairs_file.read_text("utf-8").splitlines()]
        folds, each = (int(word) for word in lines[0])
        try:
            rows = [_parse(words, places) for words in lines[1:] if words]
        except (KeyError, ValueError, IndexError) as error:
            raise DatasetError(f"{self.pairs_file} names a photo that is not there, or is malformed: {error}") from None
        if len(rows) != 2 * folds * each:
            raise DatasetError(f"{self.pairs_file} states {2 * folds * each} pairs and lists {len(rows)}")
        table = np.array(rows)
        return Pairs(table[:, 0], table[:, 1], table[:, 2].astype(bool), np.arange(len(rows)) // (2 * each))

    @cached_property
    def outside_pairs(self) -> NDArray[np.bool_]:
        """For each photo, whether its person is in none of the official pairs. These people calibrate."""
        named = set(self.people[np.concatenate([self.pairs.first, self.pairs.second])])
        return np.array([person not in named for person in self.people])


@dataclass(frozen=True)
class Pairs:
    """Verification pairs: photo indices `(p,)` and `(p,)`, whether they show one person, and the fold of each."""

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    genuine: NDArray[np.bool_]
    fold: NDArray[np.intp]


def _parse(words: list[str], places: dict[str, int]) -> tuple[int, int, int]:
    if len(words) == 3:
        name, one, two = words
        return places[_photo(name, one)], places[_photo(name, two)], 1
    first, one, second, two = words
    return places[_photo(first, one)], places[_photo(second, two)], 0


def _photo(name: str, number: str) -> str:
    return f"{name}_{int(number):04d}.jpg"
