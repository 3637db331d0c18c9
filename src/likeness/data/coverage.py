"""Which people and photos triplets use, and how often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.data.manifest import Row
from likeness.data.triplets import Triplet, by_person
from likeness.errors import ExtraMissing


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the rows some triplets use, and how evenly.

    Attributes:
        triplets: how many there are. distinct: how many of them differ.
        per_anchor: person who can be an anchor (has two photos) → triplets in which one of theirs is.
        per_negative: person → triplets in which one of theirs is the negative.
        per_photo: path → triplets that it is in.
    """

    triplets: int
    distinct: int
    per_anchor: dict[str, int]
    per_negative: dict[str, int]
    per_photo: dict[str, int]

    @property
    def people(self) -> int:
        """People whose photos could be used."""
        return len(self.per_negative)

    @property
    def people_used(self) -> int:
        """People who are in a triplet at all."""
        return sum(count > 0 or self.per_anchor.get(person, 0) > 0 for person, count in self.per_negative.items())

    @property
    def photos_used(self) -> int:
        """Photos that are in a triplet at all."""
        return sum(count > 0 for count in self.per_photo.values())

    @property
    def anchors_used(self) -> int:
        """People of whom an anchor is."""
        return sum(count > 0 for count in self.per_anchor.values())

    @property
    def negatives_used(self) -> int:
        """People of whom a negative is."""
        return sum(count > 0 for count in self.per_negative.values())

    @staticmethod
    def spread_of(counts: Mapping[str, int]) -> dict[str, float]:
        """Least, median, mean and largest of some counts."""
        ordered = sorted(counts.values()) or [0]
        middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
        mean = round(sum(ordered) / len(ordered), 3)
        return {"min": ordered[0], "median": middle, "mean": mean, "max": ordered[-1]}

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "triplets": self.triplets,
            "distinct": self.distinct,
            "people": self.people,
            "people_used": self.people_used,
            "people_with_two_photos": len(self.per_anchor),
            "anchor_people": self.anchors_used,
            "negative_people": self.negatives_used,
            "photos": len(self.per_photo),
            "photos_used": self.photos_used,
            "triplets_per_anchor_person": self.spread_of(self.per_anchor),
            "triplets_per_photo": self.spread_of(self.per_photo),
        }


def cover(triplets: Sequence[Triplet], rows: Iterable[Row]) -> Coverage:
    """How much of the rows the triplets use."""
    photos = by_person(rows)
    person_of = {path: person for person, paths in photos.items() for path in paths}
    anchors = Counter(person_of[each.anchor] for each in triplets)
    negatives = Counter(person_of[each.negative] for each in triplets)
    uses = Counter(path for each in triplets for path in (each.anchor, each.positive, each.negative))
    return Coverage(
        len(triplets),
        len(set(triplets)),
        {person: anchors[person] for person, paths in photos.items() if len(paths) > 1},
        {person: negatives[person] for person in photos},
        {path: uses[path] for path in person_of},
    )


def plot_coverage(coverage: Coverage, target: Path, *, title: str) -> None:
    """Write how often people and photos are used as one PNG.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'") from error
    panels = (
        (coverage.per_anchor, "people with two photos", "triplets as the anchor"),
        (coverage.per_negative, "people", "triplets as the negative"),
        (coverage.per_photo, "photos", "triplets, in any place"),
    )
    figure = Figure(figsize=(12, 3.8), layout="constrained")
    for panel, (counts, what, where) in zip(figure.subplots(1, 3), panels, strict=True):
        top = max(counts.values(), default=0)
        edges = [value - 0.5 for value in range(0, top + 2, max(top // 60, 1))]
        panel.hist(list(counts.values()), bins=[*edges, max(edges[-1] + 1, top + 0.5)], color="tab:blue")
        unused = sum(count == 0 for count in counts.values())
        panel.set(xlabel=where, ylabel=what, title=f"{len(counts)} {what}, {unused} unused")
    figure.suptitle(title)
    figure.savefig(target, dpi=110, format="png")
