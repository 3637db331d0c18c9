"""Making a bundle better for its owner's people, and saying honestly whether it became so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from likeness.bundle import MANIFEST, Bundle, place_folder
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.splits import split_by_person
from likeness.errors import CalibrationError, Conflict, DatasetError
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.dataset import calibration_of, embed_dataset
from likeness.settings import Settings
from likeness.train.bundling import OWN_PHOTOS, expect_name, tell_dropped
from likeness.train.checkpoint import BASE, read_base
from likeness.train.export import export_run
from likeness.train.from_bundle import (
    Watch,
    centres_of,
    copy_bundle,
    crop_people,
    embed_crops,
    fitted_recipe,
    keep_base,
)
from likeness.train.loop import MakeTask, Say, train
from likeness.train.material import choose_material, crops_of
from likeness.train.recipe import Recipe
from likeness.train.run import RECORD, Run, alone, erase
from likeness.train.tasks import FineTuneTask, Task, build_task
from likeness.train.verdict import LEAST_PEOPLE, Comparison, Views, compare

DATA, ASIDE, VERDICT = "data", "bundle", "verdict.json"
SHARES = (0.8, 0.2, 0.0)


@dataclass(frozen=True)
class FineTuned:
    """What came of it: the new bundle, and the two comparisons with the old; a remark where it has no calibration."""

    bundle: Bundle
    run: Run
    held: Comparison
    others: Comparison
    remark: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "bundle": str(self.bundle.folder),
            "verdict": self.held.word,
            "held_photos": self.held.as_dict(),
            "other_people": self.others.as_dict(),
            "remark": self.remark,
            "epochs": len(self.run.epochs),
            "seconds": self.run.seconds,
        }


@dataclass(frozen=True, slots=True)
class Places:
    """Folders: of the training, of the new bundle, and of embeddings that can be made again."""

    run: Path
    target: Path
    cache: Path


def fine_tune(
    old: Bundle,
    photos: Path,
    recipe: Recipe,
    places: Places,
    *,
    settings: Settings,
    say: Say,
    watch: Watch,
    fresh: bool = False,
) -> FineTuned:
    """Fine-tune a bundle on a folder of people's photos, and compare old and new on photos that neither learnt from.

    Of ten people eight are learnt, less two photos of each where three are left; these `held` photos decide on the
    verdict. The others chose the epoch and calibrate the new bundle. A run that was stopped goes on; `fresh` begins
    anew.

    Raises:
        DatasetError: too few people or photos.
        ModelError: the bundle's network cannot be trained further.
        Conflict: a bundle of that name is there which did not come out of this very training.
        RunDiffers: the folder holds another training.
    """
    folder, target = places.run, places.target
    recipe = fitted_recipe(recipe, old)
    tell_dropped(old, say)
    expect_name(target.name)
    _expect_place(target, folder, recipe, fresh=fresh)
    if fresh and (folder / RECORD).is_file():
        with alone(folder):
            # What a fine-tuning names `data` it made itself; elsewhere that may be anything.
            erase(folder, VERDICT, ASIDE, *([BASE, DATA] if (folder / BASE).is_file() else []))
    keep_base(old, folder)
    dataset = _people(photos, folder / DATA, settings, say, watch)
    if not choose_material(dataset, recipe).held.rows:
        raise DatasetError(
            "nobody to learn has four photos or more, so none can be held back to tell whether it became better",
            hint="five photos of each person do well",
        )
    make = _maker(folder, dataset, recipe)
    with watch("training") as progress:
        run = train(dataset, recipe, folder, say=say, progress=progress, make_task=make, base=old.manifest)
    new = _exported(old, dataset, run, places, say, watch)
    held, others = _compare(old, new, dataset, run, places.cache, watch)
    if held.people < LEAST_PEOPLE:
        say(f"Photos of {held.people} people were held back: differences are called clear from {LEAST_PEOPLE} on.")
    done = FineTuned(new, run, held, others, _remark(new))
    (folder / VERDICT).write_text(json.dumps(done.as_dict(), indent=1) + "\n", "utf-8")
    return done


def _expect_place(target: Path, folder: Path, recipe: Recipe, *, fresh: bool) -> None:
    """Let pass where no bundle is yet, or the one that this training came to, with nothing left to train."""
    if not target.exists():
        return
    if not fresh and (folder / ASIDE / MANIFEST).is_file() and (target / MANIFEST).is_file():
        run, made = Run.read(folder), Bundle.read(folder / ASIDE)
        complete = run.finished and (bool(run.stopped) or recipe.loop.epochs <= len(run.epochs))
        if complete and Bundle.read(target).manifest.embedding == made.manifest.embedding:
            return
    raise Conflict(f"the bundle {str(target)!r} is there already", hint="name another with --name, or remove it")


def _people(photos: Path, out: Path, settings: Settings, say: Say, watch: Watch) -> Dataset:
    """The folder's people as crops, split by person."""
    dataset = crop_people(photos, out, settings, say, watch, steps=("cropped", "split"))
    split = dataset.with_rows(split_by_person(dataset.rows, shares=SHARES), step="split")
    if split.rows != dataset.rows:
        split.write()
        return split
    return dataset


def _maker(folder: Path, dataset: Dataset, recipe: Recipe) -> MakeTask:
    """Makes the task, with the people's centres where their photos lie at the start."""

    def make(given: Recipe, people: int) -> Task:
        task = build_task(read_base(folder, given.network), given.task, people, given.network.dimension)
        assert isinstance(task, FineTuneTask)
        learnt = crops_of(dataset, choose_material(dataset, recipe).learnt, recipe)
        with torch.no_grad():
            task.centres.copy_(centres_of(embed_crops(task.network, learnt), learnt.labels, people))
        return task

    return make


def _compare(
    old: Bundle, new: Bundle, dataset: Dataset, run: Run, cache: Path, watch: Watch
) -> tuple[Comparison, Comparison]:
    """On held photos of the people learnt, against their learnt photos; and among other people."""
    held_paths, people = set(run.held), set(run.people)
    held = [row for row in dataset.rows if row.path in held_paths]
    learnt = [row for row in dataset.rows if row.identity in people and row.path not in held_paths]
    others = list(dataset.of_split("validation"))

    def views(rows: Sequence[Row]) -> Views:
        with watch("comparing") as progress:
            found = [embed_dataset(bundle, dataset, rows, cache, progress).vectors for bundle in (old, new)]
        return Views(*found)

    own = compare(
        "photos held back of the people learnt",
        views(held),
        [row.identity for row in held],
        views(learnt),
        [row.identity for row in learnt],
    )
    strangers = compare("people not learnt, who chose the epoch", views(others), [row.identity for row in others], None)
    return own, strangers


def _exported(old: Bundle, dataset: Dataset, run: Run, places: Places, say: Say, watch: Watch) -> Bundle:
    """The new bundle in its place, with a calibration on the people not learnt where they are enough for one."""
    if places.target.exists():
        return Bundle.read(places.target)
    aside = places.run / ASIDE
    shutil.rmtree(aside, ignore_errors=True)
    name = places.target.name
    # As the old one looks at faces, so does the new: else their comparison would be about that.
    flip = bool(old.manifest.parameters.get("flip", False))
    new = export_run(places.run, aside, dataset=dataset, name=name, licence=OWN_PHOTOS, flip=flip, say=say).bundle
    try:
        with watch("calibrating") as progress:
            # Own: no digests of who these people are go into a bundle that may be passed on.
            calibration = calibrate_dataset(new, dataset, own=True, cache=places.cache, progress=progress)
    except CalibrationError as error:
        say(f"The new bundle gives no probabilities: {error.message}")
    else:
        new = write_calibrated(new, calibration, None)
    return place_folder(places.target, lambda folder: copy_bundle(aside, folder))


def _remark(bundle: Bundle) -> str:
    calibration = calibration_of(bundle)
    if calibration is None:
        return "without probabilities, too few people were left to fit them on; see `likeness calibrate`"
    return (
        f"its probabilities rest on {calibration.people} people and support false-match rates down to "
        f"{calibration.finest_rate:.2g}; fit them on more with `likeness calibrate`"
    )
