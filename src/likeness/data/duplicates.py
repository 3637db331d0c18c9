"""The same photo twice: files that are equal, and pictures that are, one of them scaled, re-coded or recoloured.

Pictures are compared in two steps. First by a small grey picture, as one correlation: cheap, for all pairs, and coarse
enough that crops of one photo pass though they are a few pixels apart. Those that are similar there are compared by
their edges, at the best of a few shifts: light and pose alone do not make edges alike. Of LFW's pairs that pass the
first step, two shots of one scene come to at most 0.80 in the second, and the very same shot to at least 0.84.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.data.dataset import Dataset
from likeness.data.kept import FOLDER, Kept, digests_of
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import DatasetError, PhotoError
from likeness.spread import spread
from likeness.types import Vector
from likeness.vision.decode import decode_photo
from likeness.vision.session import available_cores

SMALL_PX, EDGES_PX = 12, 64
LEAST_SMALL, LEAST_EDGES = 0.92, 0.82
LARGEST_SHIFT_PX = 3
_BLOCK = 1 << 25
"""Correlations that are held at once."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two rows with one photo.

    Attributes:
        likeness: correlation of their edges, 1 for equal files. exact: whether the files are equal.
    """

    first: Row
    second: Row
    likeness: float
    exact: bool

    @property
    def conflict(self) -> bool:
        """Whether one photo has the names of two people."""
        names = {person_key(row.identity) for row in (self.first, self.second) if row.identity}
        return len(names) == 2

    @property
    def leak(self) -> bool:
        """Whether the photo is in two splits."""
        return len({row.split for row in (self.first, self.second)} - {""}) == 2

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "paths": [self.first.path, self.second.path],
            "identities": [self.first.identity, self.second.identity],
            "splits": [self.first.split, self.second.split],
            "likeness": round(self.likeness, 4),
            "exact": self.exact,
            "conflict": self.conflict,
        }


def find_duplicates(
    dataset: Dataset,
    *,
    near: bool = True,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Duplicate]:
    """Pairs of rows that hold one photo, equal files first. Of several equal files each is paired with the first.

    Without `near` only equal files are found, and none is opened whose digest the manifest holds.

    Raises:
        DatasetError: a file cannot be read. StorageError: the small pictures cannot be kept beside the data set.
    """
    digests = digests_of(dataset)
    firsts: dict[bytes, int] = {}
    exact = []
    for at, digest in enumerate(digests):
        if firsts.setdefault(digest, at) != at:
            exact.append(Duplicate(dataset.rows[firsts[digest]], dataset.rows[at], 1.0, True))
    if not near:
        return exact
    return exact + _find_near(dataset, firsts, workers, progress)


def _find_near(
    dataset: Dataset, firsts: dict[bytes, int], workers: int, progress: Callable[[int, int], None]
) -> list[Duplicate]:
    """Pairs with one picture among the rows `firsts` (digest → index), most alike first."""
    kept = Kept(dataset.folder / FOLDER / f"small-{SMALL_PX}.u8", np.dtype(np.uint8), (SMALL_PX, SMALL_PX))
    places = list(firsts.values())
    paths = {digest: dataset.path(dataset.rows[at]) for digest, at in firsts.items()}
    pictures = kept.complete(
        paths,
        lambda batch: [grey(path, SMALL_PX) for path in batch],
        lambda work, batches: spread(work, batches, workers or available_cores()),
        progress,
    )
    small = _normalised(np.stack([pictures[digest] for digest in firsts])) if firsts else np.empty((0, 1), np.float32)

    @lru_cache(maxsize=4096)
    def edges(at: int) -> Vector:
        return edges_of(grey(dataset.path(dataset.rows[places[at]]), EDGES_PX))

    near = []
    for one, two in _similar(small, LEAST_SMALL):
        likeness = compare_edges(edges(one), edges(two))
        if likeness >= LEAST_EDGES:
            near.append(Duplicate(dataset.rows[places[one]], dataset.rows[places[two]], likeness, False))
    return sorted(near, key=lambda pair: -pair.likeness)


def grey(path: Path, side_px: int) -> NDArray[np.uint8]:
    """A photo as a small grey square `(side_px, side_px)`.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        image = Image.fromarray(decode_photo(path).pixels).convert("L")
    except PhotoError as error:
        raise DatasetError(
            f"the photo {str(path)!r} cannot be read: {error.message}", hint="`likeness data check` lists what is gone"
        ) from error
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.LANCZOS))


def edges_of(picture: NDArray[np.uint8]) -> Vector:
    """Central differences of a grey picture to the right and down, `(2, h - 2, w - 2)`."""
    values = picture.astype(np.float32)
    return np.stack([values[1:-1, 2:] - values[1:-1, :-2], values[2:, 1:-1] - values[:-2, 1:-1]])


def compare_edges(first: Vector, second: Vector) -> float:
    """The largest correlation, −1 to 1, of two pictures' edges, at shifts of up to three pixels each way."""
    shift = LARGEST_SHIFT_PX
    inner = second[:, shift:-shift, shift:-shift]
    windows = np.lib.stride_tricks.sliding_window_view(first, inner.shape[1:], axis=(1, 2))
    shared = np.einsum("cabhw,chw->ab", windows, inner)
    powers = np.einsum("cabhw,cabhw->ab", windows, windows) * float((inner * inner).sum())
    return float((shared / np.sqrt(np.maximum(powers, 1e-9))).max())


def _normalised(pictures: NDArray[np.uint8]) -> Vector:
    """Rows `(n, pixels)` with mean 0 and length 1, so that a dot product is a correlation; flat ones are 0."""
    flat = pictures.reshape(len(pictures), -1).astype(np.float32)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-3), np.float32)


def _similar(small: Vector, least: float) -> Iterator[tuple[int, int]]:
    """Pairs of rows whose correlation is at least `least`, the first index the smaller."""
    step = max(_BLOCK // max(len(small), 1), 16)
    for start in range(0, len(small), step):
        similar = small[start : start + step] @ small[start:].T
        for first, second in np.argwhere(similar >= least):
            if first < second:
                yield int(first) + start, int(second) + start


def in_rows(duplicates: Sequence[Duplicate], rows: Iterable[Row]) -> list[Duplicate]:
    """The same pairs, as these rows with the same paths now are: after a split, say."""
    known = {row.path: row for row in rows}
    return [replace(pair, first=known[pair.first.path], second=known[pair.second.path]) for pair in duplicates]


def groups_of(duplicates: Sequence[Duplicate]) -> list[list[Row]]:
    """Rows that hold one photo, by way of any number of pairs; each group in order of the paths."""
    return joined((pair.first, pair.second) for pair in duplicates)


def joined(pairs: Iterable[tuple[Row, Row]]) -> list[list[Row]]:
    """Rows that any number of pairs tie together; each group in order of the paths."""
    leader: dict[str, str] = {}
    rows: dict[str, Row] = {}

    def find(path: str) -> str:
        while leader.setdefault(path, path) != path:
            leader[path] = leader[leader[path]]
            path = leader[path]
        return path

    for first, second in pairs:
        rows |= {first.path: first, second.path: second}
        one, two = sorted((find(first.path), find(second.path)))
        leader[two] = one
    groups: dict[str, list[Row]] = {}
    for path in sorted(rows):
        groups.setdefault(find(path), []).append(rows[path])
    return list(groups.values())
