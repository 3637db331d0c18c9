"""What is evaluated: photos of known people with their embeddings, and what else is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from likeness.data.manifest import Row
from likeness.evaluate.embeddings import Embedded

CHUNK = 100_000


@dataclass(frozen=True, eq=False)
class Sample:
    """Photos `(n,)` of known people.

    Attributes:
        people: `(n,)` who each photo shows.
        embedded: their embeddings.
        paths: the photos' names, to find them in files of pairs and triplets.
        labels: label → `(n,)` values as words, empty where not known.
    """

    people: NDArray[np.str_]
    embedded: Embedded
    paths: Sequence[str] = ()
    labels: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)

    @cached_property
    def names(self) -> NDArray[np.str_]:
        """All people, in order of their names."""
        return np.unique(self.people)

    @cached_property
    def codes(self) -> NDArray[np.intp]:
        """`(n,)`: each photo's person, as a place in `names`."""
        return np.searchsorted(self.names, self.people)

    def similarities(self, first: NDArray[np.intp], second: NDArray[np.intp]) -> NDArray[np.float64]:
        """Cosine of each pair `(p,)`; −inf where a face was not found, or a place is −1 (no such photo)."""
        scores = np.empty(len(first))
        vectors = self.embedded.vectors
        for start in range(0, len(first), CHUNK):
            one, two = first[start : start + CHUNK], second[start : start + CHUNK]
            scores[start : start + CHUNK] = np.einsum("pd,pd->p", vectors[one], vectors[two])
        found = self.embedded.found
        return np.where((first >= 0) & (second >= 0) & found[first] & found[second], scores, -np.inf)


def choose_people(people: NDArray[np.str_], most: int, seed: int) -> NDArray[np.bool_]:
    """Which photos `(n,)` to take so that they are at most `most`: all photos of people drawn by the seed."""
    if len(people) <= most:
        return np.ones(len(people), bool)
    _, codes, counts = np.unique(people, return_inverse=True, return_counts=True)
    order = np.random.default_rng([seed, 5]).permutation(len(counts))
    total, taken = 0, []
    for person in order.tolist():
        if total + counts[person] <= most:
            total += int(counts[person])
            taken.append(person)
    return np.isin(codes, taken)


def labels_of(rows: Sequence[Row]) -> dict[str, NDArray[np.str_]]:
    """Labels by which groups are told apart: `gender`, `group`, and the decade of `age_years`; those that are known."""
    found = {name: np.array([_word(row.label(name)) for row in rows]) for name in ("gender", "group")}
    found["age"] = np.array([_decade(row.label("age_years")) for row in rows])
    return {name: values for name, values in found.items() if (values != "").any()}


def decade_of(age_years: float) -> str:
    """`20–29`; from 90 on `90+`, so that the few oldest stay together."""
    start = int(age_years // 10) * 10
    return "90+" if start >= 90 else f"{start}–{start + 9}"


def _word(value: str | float | None) -> str:
    return "" if value is None else value if isinstance(value, str) else f"{value:g}"


def _decade(value: str | float | None) -> str:
    return decade_of(value) if isinstance(value, float | int) and 0 <= value < 130 else ""
