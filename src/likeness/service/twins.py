"""Lookalikes: ranked people, and how unusual so near a resemblance is in this gallery."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.decision import decide_search
from likeness.gallery.base import Gallery
from likeness.settings import Settings
from likeness.types import Face, Person, Twin, TwinAnswer, Vector

SAMPLE = 256
"""At most so many people are asked for their own nearest double."""
_SEED = 20240501
_PAGE = 5000


class Rarity:
    """How near people in a gallery come to their nearest double; remembered until the gallery has changed."""

    def __init__(self, gallery: Gallery) -> None:
        self._gallery = gallery
        self._state: object = None
        self._nearest: NDArray[np.float64] = np.empty(0)

    def rarer_than(self, similarities: Sequence[float]) -> list[float | None]:
        """For each similarity the share of sampled people whose nearest other person is less similar than that.

        None where the gallery has fewer than two people with faces: nobody has a double there.
        """
        state = self._gallery.extent()
        if state != self._state:
            self._nearest, self._state = self._ask(), state
        if not len(self._nearest):
            return [None] * len(similarities)
        return [
            float(np.searchsorted(self._nearest, value, side="left")) / len(self._nearest) for value in similarities
        ]

    def _ask(self) -> NDArray[np.float64]:
        """Similarity of each sampled person's best picture to the nearest picture of anybody else, increasing."""
        people = [person for person in everybody(self._gallery) if person.faces]
        chosen = random.Random(_SEED).sample(people, min(SAMPLE, len(people)))  # noqa: S311 - a sample, not a secret
        if len(people) < 2:
            return np.empty(0)
        probes = np.stack([self._best_picture(person) for person in chosen])
        nearest = [
            next((hit.similarity for hit in hits if hit.person_id != person.id), None)
            for person, hits in zip(chosen, self._gallery.search(probes, 2), strict=True)
        ]
        return np.sort(np.array([value for value in nearest if value is not None], np.float64))

    def _best_picture(self, person: Person) -> Vector:
        return max(self._gallery.faces(person.id), key=lambda face: face.quality).embedding


def find_twins(
    face: Face,
    gallery: Gallery,
    calibration: Calibration,
    settings: Settings,
    rarity: Rarity,
    *,
    k: int,
    exclude: Sequence[str] = (),
    others: bool = False,
) -> TwinAnswer:
    """The `k` people most like a face (with embedding), nearest first; `exclude` names ids that are passed over.

    With `others` the person whose face it is, by the decision `match`, is left out and said to be. The numbers of the
    rest are those beside that person: where the face has its owner, others are hardly the same person.
    """
    assert face.embedding is not None  # stated above
    extent = gallery.extent()
    hits = gallery.search(face.embedding[None], k + others, exclude=exclude)[0]
    answer = decide_search(face, hits, extent.people, extent.faces, calibration, settings)
    matches = ((answer.match,) if answer.match else ()) + answer.runners_up
    left_out = matches[:1] if others and answer.decision == "match" else ()
    matches = matches[len(left_out) :][:k]
    rare = rarity.rarer_than([match.similarity for match in matches])
    profiles: list[dict[str, Any]] = [gallery.person(match.person_id).profile for match in matches]
    twins = zip(matches, rare, profiles, strict=True)
    return TwinAnswer(face, tuple(Twin(rank, *found) for rank, found in enumerate(twins, start=1)), left_out)


def everybody(gallery: Gallery, query: str = "") -> Iterator[Person]:
    """All people whose name contains `query`, by name."""
    after: Person | None = None
    while page := gallery.people(query=query, after=after, limit=_PAGE):
        yield from page
        after = page[-1]  # not the id alone: whoever has it may be erased meanwhile
