"""What a step forgot: the networks before and after it, on photos that neither learnt from.

Old and new network are asked the same questions: the same held photos, the same people to choose from. So a figure that
falls says what the training did, and not that more people are harder to tell apart. What a step forgot of old people
is the best of two networks before it (the first of the series, which began the embedding space, and the previous one)
less the new one; so small losses do not add up unseen over many steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import DatasetError
from likeness.evaluate.bootstrap import ROUNDS, draw_people, interval
from likeness.evaluate.curves import Binned, name_rate, tar_at
from likeness.evaluate.dataset import embed_dataset, rows_of
from likeness.evaluate.pairs import PairSet, all_pairs
from likeness.evaluate.sample import Sample
from likeness.evaluate.verification import verify_pairs
from likeness.train.from_bundle import Watch
from likeness.train.memory import EXEMPLAR, HELD, LEARN, rows_used
from likeness.train.verdict import Comparison, Views, compare
from likeness.types import Vector

RATE = 1e-2
"""The false-match rate at which true accepts are counted."""


@dataclass(frozen=True, slots=True, eq=False)
class Networks:
    """The bundles of a step: the first of the embedding space, the one before the step, and what came of it."""

    first: Bundle
    previous: Bundle
    new: Bundle

    def distinct(self) -> dict[str, Bundle]:
        """By name of the field; the first is left out where it is the previous one."""
        several = self.first.fingerprint != self.previous.fingerprint
        return ({"first": self.first} if several else {}) | {"previous": self.previous, "new": self.new}


def measure_people(
    networks: Networks, dataset: Dataset, known: Iterable[str], cache: Path, watch: Watch
) -> dict[str, Any]:
    """Held photos of old and of new people, searched among all photos that are learnt; and in old galleries."""
    gallery = [*rows_used(dataset.rows, EXEMPLAR), *rows_used(dataset.rows, LEARN)]
    held, old = rows_used(dataset.rows, HELD), set(known)
    views = {
        name: _views(bundle, dataset, (held, gallery), cache, watch) for name, bundle in networks.distinct().items()
    }
    was = np.array([row.identity in old for row in held], bool)
    enrolled = np.array([row.label("use") == EXEMPLAR for row in gallery], bool)
    first = "first" if "first" in views else "previous"
    found: dict[str, Any] = {
        "old_people": _lost(views, held, gallery, was, "held photos of people of earlier steps"),
        "new_people": _lost(views, held, gallery, ~was, "held photos of people of this step"),
        "old_galleries": {},
    }
    if was.any() and enrolled.any():
        probes = Views(views[first][0][was], views["new"][0][was])
        old_photos = Views(views[first][1][enrolled], views[first][1][enrolled])
        names = [row.identity for row in gallery if row.label("use") == EXEMPLAR]
        people = [row.identity for row, kept in zip(held, was, strict=True) if kept]
        found["old_galleries"]["old people"] = _fallen(
            _compared("old people in a gallery of the first network", probes, people, old_photos, names)
        )
    return found


def _views(
    bundle: Bundle, dataset: Dataset, parts: Sequence[Sequence[Row]], cache: Path, watch: Watch
) -> tuple[Vector, ...]:
    with watch("comparing") as progress:
        return tuple(embed_dataset(bundle, dataset, rows, cache, progress).vectors for rows in parts)


def _lost(
    views: Mapping[str, tuple[Vector, ...]],
    held: Sequence[Row],
    gallery: Sequence[Row],
    chosen: NDArray[np.bool_],
    of: str,
) -> dict[str, Any] | None:
    """The worst of the comparisons with earlier networks; None where no photo can be compared."""
    people = [row.identity for row, kept in zip(held, chosen, strict=True) if kept]
    names = [row.identity for row in gallery]
    each = {}
    for before in [name for name in views if name != "new"]:
        probes = Views(views[before][0][chosen], views["new"][0][chosen])
        each[before] = _compared(of, probes, people, Views(views[before][1], views["new"][1]), names)
    fallen = {before: found for before, done in each.items() if (found := _fallen(done))}
    if not fallen:
        return None
    worst = max(fallen, key=lambda before: fallen[before]["lost"])
    return (
        fallen[worst] | {"before": worst} | {f"{before}_rank_1": fallen[before]["before_rank_1"] for before in fallen}
    )


def _compared(
    of: str, probes: Views, people: Sequence[str], gallery: Views | None, names: Sequence[str]
) -> Comparison | None:
    try:
        return compare(of, probes, people, gallery, names)
    except ValueError:  # nobody with a genuine and an impostor photo
        return None


def _fallen(done: Comparison | None) -> dict[str, Any] | None:
    """A comparison as what was lost: rank-1 before less after, with its interval by person."""
    if done is None:
        return None
    low, high = done.rank_1_gain
    return {
        "of": done.of,
        "people": done.people,
        "photos": done.probes,
        "before_rank_1": done.old.rank_1,
        "after_rank_1": done.new.rank_1,
        "lost": done.old.rank_1 - done.new.rank_1,
        "lost_interval": (0.0 - high, 0.0 - low),
        "match_accuracy": {"before": done.old.match_accuracy, "after": done.new.match_accuracy},
    }


def measure_strangers(networks: Networks, dataset: Dataset, split: str, cache: Path, watch: Watch) -> dict[str, Any]:
    """Verification on people who were never learnt, and how they are found in galleries of the first network."""
    rows = rows_of(dataset, split)
    people = np.array([person_key(row.identity) for row in rows])
    samples = {}
    for name, bundle in networks.distinct().items():
        with watch("comparing") as progress:
            samples[name] = Sample(people, embed_dataset(bundle, dataset, rows, cache, progress))
    pairs = all_pairs(samples["new"])
    figures = {name: _verified(sample, pairs) for name, sample in samples.items()}
    befores = [name for name in samples if name != "new"]
    found: dict[str, Any] = {
        "data": f"{dataset.facts.name}, split {split}",
        "people": len(samples["new"].names),
        "photos": len(rows),
        "protocol": pairs.protocol,
        "figures": figures,
        "lost": {},
    }
    for key in [key for key in ("accuracy", "tar") if figures["new"][key] is not None]:
        best = max(befores, key=lambda name: float(figures[name][key]))
        found["lost"][key] = {
            "before": best,
            "lost": figures[best][key] - figures["new"][key],
            "lost_interval": _paired(samples[best], samples["new"], pairs, key),
        }
    return {"verification": found, "gallery": _in_old_gallery(samples, rows)}


def expect_apart(dataset: Dataset, split: str, learnt: Iterable[str]) -> None:
    """Let people pass to measure on none of whom is learnt: to be asked before the work.

    Raises:
        DatasetError: some of them are.
    """
    shared = {person_key(row.identity) for row in rows_of(dataset, split)} & {person_key(name) for name in learnt}
    if shared:
        raise DatasetError(
            f"{len(shared)} people of {str(dataset.folder)!r}, split {split}, are learnt: they measure nothing",
            hint="name people apart with --verify",
        )


def _verified(sample: Sample, pairs: PairSet) -> dict[str, Any]:
    figures = verify_pairs(sample, pairs, sample.similarities(pairs.first, pairs.second))
    rate = name_rate(RATE)
    return {
        "accuracy": figures["accuracy"],
        "accuracy_interval": figures["accuracy_interval"],
        "tar": figures["tar_at_fmr"].get(rate),
        "tar_interval": figures["tar_at_fmr_interval"].get(rate),
        "equal_error_rate": figures["equal_error_rate"],
    }


def _paired(before: Sample, after: Sample, pairs: PairSet, key: str) -> tuple[float, float] | None:
    """The interval of what was lost, the same people drawn for both networks."""
    values: list[list[float]] = [[], []]
    for at, sample in enumerate((before, after)):
        binned = Binned(pairs, sample.similarities(pairs.first, pairs.second), sample.codes)
        for counts in draw_people(len(sample.names), ROUNDS, 0):
            weights = binned.weights(counts)
            curve = binned.curve(weights)
            folds = binned.accuracy(weights) if key == "accuracy" else None
            if key == "accuracy":
                values[at].append(float(np.mean(folds)) if folds else np.nan)
            else:
                values[at].append(tar_at(curve, RATE)[0] if curve is not None else np.nan)
    return interval(np.array(values[0]) - np.array(values[1]))


def _in_old_gallery(samples: Mapping[str, Sample], rows: Sequence[Row]) -> dict[str, Any] | None:
    """The first photo of each person enrolled by the first network, the others searched by the new one."""
    before, after = samples["first" if "first" in samples else "previous"], samples["new"]
    _, enrolled = np.unique(after.people, return_index=True)
    asked = np.setdiff1d(np.arange(len(rows)), enrolled)
    gallery = Views(before.embedded.vectors[enrolled], before.embedded.vectors[enrolled])
    probes = Views(before.embedded.vectors[asked], after.embedded.vectors[asked])
    of = "strangers in a gallery of the first network"
    return _fallen(_compared(of, probes, after.people[asked].tolist(), gallery, after.people[enrolled].tolist()))


def over_budget(figures: Mapping[str, Any], budget: float, *, keep_space: bool) -> list[str]:
    """What was forgotten beyond the budget, in sentences; old galleries count where the space must be kept."""
    lost: list[tuple[str, dict[str, Any] | None]] = [("rank-1 of old people", figures["old_people"])]
    verified = figures.get("verification")
    if verified:
        words = {"accuracy": "verification accuracy", "tar": f"the share of true accepts at FMR {RATE:g}"}
        lost += [(words[key], part) for key, part in verified["lost"].items()]
    if keep_space:
        lost += [(f"rank-1 of {who} in old galleries", part) for who, part in figures["old_galleries"].items()]
    return [
        f"{what} fell by {part['lost']:.2%}, the budget is {budget:.2%}"
        for what, part in lost
        if part is not None and part["lost"] > budget + 1e-9
    ]


def keeps_space(figures: Mapping[str, Any], budget: float) -> bool:
    """Whether old galleries were searched by the new network, and lost no more than the budget."""
    parts = [part for part in figures["old_galleries"].values() if part is not None]
    return bool(parts) and all(part["lost"] <= budget + 1e-9 for part in parts)
