"""How evenly a data set's photos are spread over its people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.data.manifest import Row


@dataclass(frozen=True, slots=True)
class Balance:
    """Photos per person.

    Attributes:
        photos: how many rows have an identity; `nameless` have none.
        gini: Gini coefficient, 0 where all people have as many photos, towards 1 where one has nearly all.
        effective_people: as many people with equally many photos would be as diverse: the exponential of the entropy
            of the photos' shares (Hill number of order 1; Hill 1973).
        singles: people with a single photo.
        most: the people with most photos, with how many.
    """

    people: int
    photos: int
    nameless: int
    least: int
    median: float
    mean: float
    largest: int
    gini: float
    effective_people: float
    singles: int
    most: tuple[tuple[str, int], ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "people": self.people,
            "photos": self.photos,
            "nameless": self.nameless,
            "photos_per_person": {
                "min": self.least,
                "median": self.median,
                "mean": round(self.mean, 2),
                "max": self.largest,
            },
            "gini": round(self.gini, 4),
            "effective_people": round(self.effective_people, 1),
            "singles": self.singles,
            "most": [{"identity": name, "photos": count} for name, count in self.most],
        }


def balance_of(rows: Iterable[Row]) -> Balance:
    """Photos per person of some rows."""
    counted = Counter(row.identity for row in rows)
    nameless = counted.pop("", 0)
    if not counted:
        return Balance(0, 0, nameless, 0, 0.0, 0.0, 0, 0.0, 0.0, 0, ())
    counts = np.sort(np.array(list(counted.values()), np.float64))
    total = counts.sum()
    shares = counts / total
    ranks = np.arange(1, len(counts) + 1)
    return Balance(
        people=len(counts),
        photos=int(total),
        nameless=nameless,
        least=int(counts[0]),
        median=float(np.median(counts)),
        mean=float(counts.mean()),
        largest=int(counts[-1]),
        gini=float((2 * ranks - len(counts) - 1) @ counts / (len(counts) * total)),
        effective_people=float(np.exp(-(shares * np.log(shares)).sum())),
        singles=int((counts == 1).sum()),
        most=tuple(counted.most_common(5)),
    )
