"""Do labels agree with faces? Photos that disagree with their person's others, and people who may be one.

How alike a photo and a person are is the mean cosine between the photo and the person's photos (its own left out),
which is the dot product with their mean before it is scaled to unit length. It lies on the scale of single
comparisons, so that the model's calibration says what it means: means of several vary less, so that what is said of
people with many photos is on the safe side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import PAIRS_BEHIND_NONE, Calibration
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.types import Vector

Floats = NDArray[np.float64]

TRUST = 0.99
"""Share of labels that are taken to be right before a face is looked at."""
SAFE_SHARE = 0.01
"""How often a photo of a stranger may be given a name: what a suggestion must meet, as far as the calibration tells."""
_BLOCK = 1 << 24
"""Similarities that are held at once."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """A photo whose label is more probably wrong than right.

    Attributes:
        own: mean similarity to the other photos under its label; `photos` is how many those are.
        right: probability that the label is right.
        nearest: identity of the most similar other person, `other` the similarity to them.
        sure: whether that is similar enough to be the suggestion.
        alone: whether it is one of two photos, either of which may be the wrong one.
    """

    row: Row
    own: float
    photos: int
    right: float
    nearest: str
    other: float
    sure: bool
    alone: bool

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "path": self.row.path,
            "identity": self.row.identity,
            "similarity": round(self.own, 4),
            "to_photos": self.photos,
            "label_right": float(f"{self.right:.3g}"),
            "nearest": self.nearest,
            "nearest_similarity": round(self.other, 4),
            "suggested": self.nearest if self.sure else None,
            "one_of_two": self.alone,
        }


@dataclass(frozen=True, slots=True)
class Alike:
    """Two people more similar than any two strangers behind the calibration; splits are those of their rows."""

    first: str
    second: str
    similarity: float
    splits: tuple[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "people": [self.first, self.second],
            "similarity": round(self.similarity, 4),
            "splits": list(self.splits),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Coherence:
    """What came of looking at all photos.

    Attributes:
        own: `(n,)` similarity to the other photos of the label; NaN where there are none.
        other: `(n,)` similarity to the most similar other person; NaN without one.
        supported: `(n,)` whether the other photos speak for the label rather than against it.
        suspects: most suspicious first. alike: most similar first.
        chance_alike: how many pairs of strangers would be as alike as `alike` says, at most, among so many people.
        safe: similarity from which on a suggestion is made.
    """

    own: Floats
    other: Floats
    supported: NDArray[np.bool_]
    suspects: tuple[Suspect, ...]
    alike: tuple[Alike, ...]
    chance_alike: float
    safe: float


def find_incoherent(
    rows: Sequence[Row], vectors: Vector, calibration: Calibration, *, trust: float = TRUST
) -> Coherence:
    """Photos whose label is probably wrong, and people who may be one, by embeddings `(n, d)` of the rows.

    A label is suspect where its probability, given the similarity to the person's other photos and `trust` before
    it, is below one half. Rows without identity are left out; names written differently are one person.
    """
    people = _People.of(rows, vectors)
    own, other, nearest = people.compare()
    right = np.full(len(rows), np.nan)
    known = np.isfinite(own)
    right[known] = calibration.probability(own[known], prior=trust)
    safe, _ = calibration.search_threshold(SAFE_SHARE, max(len(people.keys), 1))
    suspects = [
        Suspect(
            row=rows[at],
            own=float(own[at]),
            photos=int(people.counts[people.place[at]]) - 1,
            right=float(right[at]),
            nearest=people.shown[nearest[at]] if np.isfinite(other[at]) else "",
            other=float(other[at]) if np.isfinite(other[at]) else -1.0,
            sure=bool(other[at] >= safe),
            alone=int(people.counts[people.place[at]]) == 2,
        )
        for at in np.nonzero(known)[0][np.argsort(own[known], kind="stable")]
        if right[at] < 0.5
    ]
    alike = people.alike(rows, float(calibration.tail_similarities[-1]))
    pairs = len(people.keys) * (len(people.keys) - 1) / 2
    chance = PAIRS_BEHIND_NONE / calibration.impostor_pairs * pairs
    supported = known & (calibration.probability(np.nan_to_num(own, nan=-1.0)) > 0.5)
    return Coherence(own, other, supported, tuple(suspects), tuple(alike), chance, safe)


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """The people of some rows: `place` `(n,)` is each row's person (−1: none), `sums` `(p, d)` their photos' sum."""

    vectors: Floats
    keys: list[str]
    shown: list[str]
    place: NDArray[np.intp]
    counts: NDArray[np.intp]
    sums: Floats

    @classmethod
    def of(cls, rows: Sequence[Row], vectors: Vector) -> _People:
        names = {person_key(row.identity): row.identity for row in reversed(rows) if row.identity}
        keys = sorted(names)
        index = {key: at for at, key in enumerate(keys)}
        place = np.array([index[person_key(row.identity)] if row.identity else -1 for row in rows], np.intp)
        exact = np.asarray(vectors, np.float64)
        sums = np.zeros((len(keys), exact.shape[1]))
        np.add.at(sums, place[place >= 0], exact[place >= 0])
        counts = np.bincount(place[place >= 0], minlength=len(keys))
        return cls(exact, keys, [names[key] for key in keys], place, counts, sums)

    def compare(self) -> tuple[Floats, Floats, NDArray[np.intp]]:
        """Each photo's similarity to its own person and to the nearest other, and who that is."""
        own, other = np.full(len(self.place), np.nan), np.full(len(self.place), np.nan)
        nearest = np.zeros(len(self.place), np.intp)
        named = np.nonzero(self.place >= 0)[0]
        means = self.sums / np.maximum(self.counts, 1)[:, None]
        step = max(_BLOCK // max(len(self.keys), 1), 16)
        for start in range(0, len(named), step):
            block = named[start : start + step]
            mine, photos = self.place[block], self.vectors[block]
            left = self.counts[mine] - 1
            sums = np.einsum("nd,nd->n", photos, self.sums[mine] - photos)
            own[block] = np.where(left > 0, sums / np.maximum(left, 1), np.nan)
            if len(self.keys) > 1:
                similar = photos @ means.T
                similar[np.arange(len(block)), mine] = -np.inf
                nearest[block] = similar.argmax(axis=1)
                other[block] = similar.max(axis=1)
        return own, other, nearest

    def alike(self, rows: Sequence[Row], least: float) -> list[Alike]:
        """Pairs of people with a mean similarity of at least `least`, most similar first."""
        means = self.sums / np.maximum(self.counts, 1)[:, None]
        splits = [""] * len(self.keys)
        for row, at in zip(rows, self.place, strict=True):
            if at >= 0:
                splits[at] = row.split
        found = []
        step = max(_BLOCK // max(len(self.keys), 1), 16)
        for start in range(0, len(self.keys), step):
            similar = means[start : start + step] @ means.T
            for first, second in np.argwhere(similar >= least):
                one, two = int(first) + start, int(second)
                if one < two:
                    both = (splits[one], splits[two])
                    found.append(Alike(self.shown[one], self.shown[two], float(similar[first, second]), both))
        return sorted(found, key=lambda pair: -pair.similarity)
