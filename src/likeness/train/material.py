"""What a training takes from a data set: photos to learn from, photos held back, and other people to validate on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.data.dataset import Dataset
from likeness.data.manifest import Row, Split
from likeness.data.splits import person_key
from likeness.errors import DatasetError
from likeness.evaluate.predictions import FEMALE, known_of
from likeness.train.crops import Crops, load_crops
from likeness.train.recipe import AttributesPart, Recipe

SPLITS: tuple[Split, Split] = ("train", "validation")
LEFT_TO_LEARN = 3
"""Photos of a person that stay in training before one is held back."""


@dataclass(frozen=True, eq=False)
class Photos:
    """Rows with the number of each one's person `(n,)`; `people` are the names behind the numbers.

    Where no people are learnt, `labels` `(n, 2)` are ages in years and 1 for female, 0 for male; NaN: not known.

    `old` `(n,)`, where it is given, says which photos fill one half of each batch; the others fill the other half.
    """

    rows: tuple[Row, ...]
    labels: NDArray[Any]
    people: tuple[str, ...]
    old: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class Material:
    """The parts of a training.

    Attributes:
        learnt: photos of the people to learn. held: other photos of the same people. validation: of other people.
    """

    learnt: Photos
    held: Photos
    validation: Photos


def choose_material(dataset: Dataset, recipe: Recipe) -> Material:
    """Pick from the splits `train` and `validation`, by the recipe's seed.

    Raises:
        DatasetError: there are too few people or photos, or people are in both splits.
    """
    if isinstance(recipe.task, AttributesPart):
        return _labelled_material(dataset, recipe)
    part, random = recipe.data, np.random.default_rng(recipe.loop.seed)
    groups = by_person(dataset.of_split("train"))
    names = sorted(groups)
    if part.max_people is not None and len(names) > part.max_people:
        names = sorted(random.choice(names, part.max_people, replace=False).tolist())
    if len(names) < 2:
        raise DatasetError(
            f"the split train of {str(dataset.folder)!r} names {len(names)} people, at least 2 are needed"
        )
    together = part.batch_size // part.per_person if part.per_person else 0
    if len(names) < together:
        raise DatasetError(
            f"the split train of {str(dataset.folder)!r} names {len(names)} people; a batch holds {together}",
            hint=f"make batches smaller: --set data.batch_size={len(names) * part.per_person}",
        )
    learnt: list[Row] = []
    held: list[Row] = []
    for name in names:
        kept, back = hold_back(groups[name], part.hold_photos, random)
        learnt += kept
        held += back
    people = tuple(names)
    _expect_apart(dataset)
    others = _validation(dataset, part.validation_photos, random)
    return Material(photos_of(learnt, people), photos_of(held, people), others)


def _labelled_material(dataset: Dataset, recipe: Recipe) -> Material:
    """All photos of train with a known age or gender, and as many of validation as the recipe says."""
    _expect_apart(dataset)
    learnt, others = (_labelled(dataset, split) for split in SPLITS)
    random, most = np.random.default_rng(recipe.loop.seed), recipe.data.validation_photos
    if len(others.rows) > most:
        chosen = np.sort(random.choice(len(others.rows), most, replace=False))
        others = Photos(tuple(others.rows[at] for at in chosen), others.labels[chosen], others.people)
    if not np.isfinite(others.labels[:, 0]).any():
        raise DatasetError(f"no photo of the split validation of {str(dataset.folder)!r} has a known age")
    nobody = Photos((), np.empty((0, 2), np.float32), ())
    return Material(learnt, nobody, others)


def _labelled(dataset: Dataset, split: Split) -> Photos:
    known = [(row, *known_of(row)) for row in sorted(dataset.of_split(split), key=lambda row: row.path)]
    kept = [(row, age, gender) for row, age, gender in known if np.isfinite(age) or gender]
    if not kept:
        raise DatasetError(
            f"no photo of the split {split} of {str(dataset.folder)!r} has an age or a gender",
            hint="the labels are called age_years and gender (female, male); UTKFace and IMDB-WIKI have them",
        )
    labels = np.array([(age, FEMALE[gender]) for _, age, gender in kept], np.float32)
    rows = tuple(row for row, _, _ in kept)
    return Photos(rows, labels, tuple(sorted({row.identity for row in rows} - {""})))


def hold_back(rows: Sequence[Row], most: int, random: np.random.Generator) -> tuple[list[Row], list[Row]]:
    """A person's photos to learn, and at most so many to hold back as long as three are left to learn."""
    back = min(most, max(0, len(rows) - LEFT_TO_LEARN))
    order = random.permutation(len(rows))
    return [rows[at] for at in sorted(order[back:])], [rows[at] for at in sorted(order[:back])]


def crops_of(
    dataset: Dataset,
    photos: Photos,
    recipe: Recipe,
    *,
    augment: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Crops:
    """The photos' crops in memory, at the network's size."""
    spec = recipe.network.input
    pixels = load_crops(dataset, photos.rows, spec.side_px, progress=progress)
    kind = recipe.data.augment if augment else "none"
    return Crops(pixels, photos.labels, spec, augment=kind, seed=recipe.loop.seed, old=photos.old)


def _expect_apart(dataset: Dataset) -> None:
    learnt, others = ({person_key(row.identity) for row in dataset.of_split(split) if row.identity} for split in SPLITS)
    if learnt & others:
        raise DatasetError(
            f"{len(learnt & others):,} of the {len(others):,} people of the split validation of "
            f"{str(dataset.folder)!r} are also in train",
            hint=f"split it by person: likeness data split {dataset.folder}",
        )


def _validation(dataset: Dataset, most: int, random: np.random.Generator) -> Photos:
    """Whole people, drawn until there are `most` photos; of one person at most 20, so that nobody decides alone."""
    groups = by_person(dataset.of_split("validation"))
    chosen: list[Row] = []
    for name in random.permutation(sorted(groups)).tolist():
        if len(chosen) >= most:
            break
        chosen += groups[name][:20]
    people = tuple(sorted({row.identity for row in chosen}))
    if len(people) < 2 or len(chosen) == len(people):
        raise DatasetError(
            f"the split validation of {str(dataset.folder)!r} needs two people and one with two photos",
            hint="give it a larger share: likeness data split --shares",
        )
    return photos_of(chosen, people)


def by_person(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Each person's rows in order of their path, people in order of their first; rows that name nobody are left out."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.path):
        if row.identity:
            found[row.identity].append(row)
    return found


def photos_of(rows: Sequence[Row], people: tuple[str, ...]) -> Photos:
    """The rows with the places of their people among `people`."""
    numbers = {name: number for number, name in enumerate(people)}
    return Photos(tuple(rows), np.array([numbers[row.identity] for row in rows], np.intp), people)
