"""The photos of one step: those that arrived, with whom the memory knows already, as one data set."""

from __future__ import annotations

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from likeness.bundle import Bundle
from likeness.data.dataset import FACTS, Dataset
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import DatasetError, NothingToLearn, RunDiffers
from likeness.evaluate.dataset import expect_template
from likeness.settings import Settings
from likeness.train.from_bundle import Watch, crop_people
from likeness.train.loop import Say
from likeness.train.material import Material, Photos, by_person, hold_back, photos_of
from likeness.train.memory import DATA, EXEMPLAR, HELD, LEARN, Memory, copy_photo, relabelled, rows_used
from likeness.train.recipe import Recipe
from likeness.train.run import RECORD

OF_A_MEMORY = ("rank", "named", "found")


def read_people(place: Path, bundle: Bundle, out: Path, settings: Settings, say: Say, watch: Watch) -> Dataset:
    """The people of a folder of photos, cropped into `out`, or of a cropped data set: of its split train, if split.

    Raises:
        DatasetError: it names nobody, or its crops are not as the bundle wants them.
    """
    if (place / FACTS).is_file():
        dataset = Dataset.read(place)
        expect_template(bundle, dataset)
        split = any(row.split for row in dataset.rows)
        rows = [row for row in dataset.rows if row.identity and (row.split == "train" or not split)]
        dataset = replace(dataset, rows=tuple(rows))
    else:
        dataset = crop_people(place, out, settings, say, watch)
    if not dataset.rows:
        raise DatasetError(f"{str(place)!r} has no photos of people with names", hint="put a folder for each person")
    return dataset


def arrange(arrived: Dataset, known: Sequence[Row], recipe: Recipe, step: int) -> list[Row]:
    """What arrived as rows of a step: who is learnt, what is held back, under the names that are known already.

    Photos that are known are left out. Of a person with held photos none are held again; photos that come with the
    label `use` = `held` stay held.
    """
    random = np.random.default_rng((recipe.loop.seed, step))
    names = {person_key(row.identity): row.identity for row in known}
    knew = set(names)
    held_already = {row.identity for row in rows_used(known, HELD)}
    seen = {row.sha256 for row in known if row.sha256}
    groups: dict[str, list[Row]] = {}
    for row in sorted(arrived.rows, key=lambda row: row.path):
        digest = row.sha256 or hashlib.sha256(arrived.path(row).read_bytes()).hexdigest()
        if digest in seen:
            continue
        seen.add(digest)
        name = names.setdefault(person_key(row.identity), row.identity)
        groups.setdefault(name, []).append(replace(row, identity=name, sha256=digest, split=""))
    rows = []
    for name, photos in sorted(groups.items()):
        held = [row for row in photos if row.label("use") == HELD]
        others = [row for row in photos if row.label("use") != HELD]
        most = 0 if held or name in held_already else recipe.data.hold_photos
        learnt, back = hold_back(others, most, random)
        if not learnt and person_key(name) not in knew:
            continue
        rows += [_placed(row, LEARN, step) for row in learnt] + [_placed(row, HELD, step) for row in (*held, *back)]
    return rows


def _placed(row: Row, use: str, step: int) -> Row:
    """The row with its place in a step's data set; `photo` keeps where it lay."""
    path = f"crops/{step:03d}/{row.path.removeprefix('crops/')}"
    labels = {name: value for name, value in row.labels.items() if name not in OF_A_MEMORY}
    return relabelled(replace(row, path=path, photo=row.path, labels=labels), use=use, step=step)


def compose(memory: Memory, arrived: Dataset, recipe: Recipe, folder: Path) -> Dataset:
    """The step's data set, in `folder`; one that is there and was made of the same photos is taken as it is.

    Raises:
        DatasetError: nothing new arrived, or all are one person.
        RunDiffers: a training there began with other photos.
    """
    step, made_of = memory.step + 1, f"step {memory.step + 1}, {arrived.digest[:16]}"
    target = folder / DATA
    if (target / FACTS).is_file():
        found = Dataset.read(target)
        if found.facts.steps[-1:] == (made_of,):
            return found
        if (folder / RECORD).is_file():
            raise RunDiffers(
                f"{str(folder)!r} holds a step that began with other photos",
                hint="give it those, or begin anew with --fresh",
            )
        shutil.rmtree(target)
    new = arrange(arrived, memory.dataset.rows, recipe, step)
    if not rows_used(new, LEARN):
        raise NothingToLearn(f"all photos of {str(arrived.folder)!r} are known already: there is nothing to learn")
    rows = (*memory.dataset.rows, *new)
    photos = Counter(row.identity for row in rows)
    if len(photos) < 2 or max(photos.values()) < 2:
        raise DatasetError(
            f"a step needs two people, known ones among them, and one with two photos; it has {len(photos)} people "
            f"with {max(photos.values())} photos at most"
        )
    for row in memory.dataset.rows:
        copy_photo(memory.folder / row.path, target / row.path)
    place_new(new, arrived.folder, target)
    facts = arrived.facts.model_copy(update={"steps": (*arrived.facts.steps, made_of)})
    dataset = Dataset(target, facts, rows)
    dataset.write()
    return dataset


def place_new(rows: Iterable[Row], source: Path, target: Path) -> None:
    """Copy photos that arrived from where they lay."""
    for row in rows:
        copy_photo(source / row.photo, target / row.path)


def material_of(dataset: Dataset, known: Sequence[str], *, rehearse: bool = True) -> Material:
    """The parts of a step's training: known people come first. Held photos are only watched, and choose nothing.

    Without rehearsal the exemplars are left out.
    """
    rows = dataset.rows
    exemplars = rows_used(rows, EXEMPLAR) if rehearse else []
    new, held = rows_used(rows, LEARN), rows_used(rows, HELD)
    people = (*known, *sorted({row.identity for row in new} - set(known)))
    learnt = photos_of([*exemplars, *new], people)
    old = np.arange(len(learnt.rows)) < len(exemplars)
    return Material(replace(learnt, old=old), photos_of(held, people), _watched(held, [*exemplars, *new]))


def _watched(held: Sequence[Row], learnt: Sequence[Row], most: int = 600) -> Photos:
    """Photos whose figures are written down after each epoch; those learnt where too few are held."""
    groups = by_person(held)
    rows = held if len(groups) > 1 and any(len(group) > 1 for group in groups.values()) else learnt
    chosen = list(rows)[:most]
    return photos_of(chosen, tuple(sorted({row.identity for row in chosen})))
