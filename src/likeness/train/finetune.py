"""Making a bundle better for its owner's people, and saying honestly whether it became so."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from likeness.bundle import Bundle
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts
from likeness.data.manifest import Row
from likeness.data.sources import open_source
from likeness.data.splits import split_by_person
from likeness.errors import CalibrationError, DatasetError, ModelError
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.dataset import embed_dataset
from likeness.settings import Settings
from likeness.train.checkpoint import BASE, read_base
from likeness.train.crops import Crops
from likeness.train.export import export_run
from likeness.train.loop import MakeTask, Say, train
from likeness.train.material import choose_material, crops_of
from likeness.train.recipe import FROM_BUNDLE, Recipe, check_recipe
from likeness.train.run import Run
from likeness.train.tasks import FineTuneTask, Task, build_task
from likeness.train.verdict import Comparison, Views, compare

DATA, VERDICT = "data", "verdict.json"
SHARES = (0.8, 0.2, 0.0)
Watch = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


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


def fine_tune(
    old: Bundle,
    photos: Path,
    recipe: Recipe,
    folder: Path,
    target: Path,
    *,
    settings: Settings,
    cache: Path,
    say: Say,
    watch: Watch,
) -> FineTuned:
    """Fine-tune a bundle on a folder of people's photos, and compare old and new on photos that neither learnt from.

    Of ten people eight are learnt, less two photos of each where three are left; these `held` photos decide on the
    verdict. The others chose the epoch and calibrate the new bundle. Everything is done in `folder` and goes on there
    when it was stopped; the new bundle is `target`.

    Raises:
        DatasetError: too few people or photos.
        ModelError: the bundle's network cannot be trained further.
    """
    dataset = _people(photos, folder / DATA, settings, say, watch)
    recipe = fitted_recipe(recipe, old)
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(old.path("model"), folder / BASE)
    material = choose_material(dataset, recipe)
    if not material.held.rows:
        raise DatasetError(
            "nobody to learn has four photos or more, so none can be held back to tell whether it became better",
            hint="five photos of each person do well",
        )
    began = f"{old.manifest.name} {old.manifest.version}"
    with watch("training") as progress:
        make = _maker(folder, dataset, recipe)
        run = train(dataset, recipe, folder, say=say, progress=progress, make_task=make, started_from=began)
    if target.exists():
        new = Bundle.read(target)
    else:
        licence = f"derived from {began} ({old.manifest.licence.weights}); trained on your own photos"
        new = export_run(folder, target, dataset=dataset, licence=licence, say=say).bundle
    held, others = _compare(old, new, dataset, run, cache, watch)
    new, remark = _calibrated(new, dataset, cache, watch)
    done = FineTuned(new, run, held, others, remark)
    (folder / VERDICT).write_text(json.dumps(done.as_dict(), indent=1) + "\n", "utf-8")
    return done


def fitted_recipe(recipe: Recipe, bundle: Bundle) -> Recipe:
    """The recipe with the bundle's input and dimension.

    Raises:
        ModelError: the bundle takes something else than pixels as they are, or gives no embeddings.
    """
    manifest = bundle.manifest
    if manifest.input is None or manifest.embedding is None or not bundle.has("model"):
        raise ModelError(f"{manifest.name} is no embedder", hint="`likeness models list` says what each model does")
    plain = manifest.input.model_copy(update={"side_px": 1})
    if plain != type(plain)(side_px=1):
        raise ModelError(
            f"{manifest.name} takes {manifest.input.layout} {manifest.input.dtype} {manifest.input.channels}; "
            "only networks that take uint8 RGB pixels can be fine-tuned",
        )
    values = recipe.model_dump(mode="json")
    values["network"] |= {"side_px": manifest.input.side_px, "dimension": manifest.embedding.dimension}
    if values["network"]["backbone"] != FROM_BUNDLE or values["task"]["kind"] != "fine-tune":
        raise ModelError(
            f"the recipe {recipe.name} trains a network of its own", hint="leave it out, or use the recipe fine-tune"
        )
    return check_recipe(values, where=f"the recipe {recipe.name}")


def _people(photos: Path, out: Path, settings: Settings, say: Say, watch: Watch) -> Dataset:
    """The folder's people as crops, split by person."""
    listing = open_source(photos)
    rows = [row for row in listing.rows if row.identity]
    cropper = open_cropper(settings, say=say)
    facts = Facts(
        name="own people", source=listing.source.name, licence=listing.source.licence, steps=("cropped", "split")
    )
    with watch("cropping") as progress:
        done = crop_dataset(rows, listing.folder, cropper, out, facts=facts, progress=progress)
    if done.refused:
        say(f"{done.refused} photos could not be used: {out / 'refused.csv'} says why.")
    split = done.dataset.with_rows(split_by_person(done.dataset.rows, shares=SHARES), step="split")
    if split.rows != done.dataset.rows:
        split.write()
        return split
    return done.dataset


def _maker(folder: Path, dataset: Dataset, recipe: Recipe) -> MakeTask:
    """Makes the task, with the people's centres where their photos lie at the start."""

    def make(given: Recipe, people: int) -> Task:
        task = build_task(read_base(folder, given.network), given.task, people, given.network.dimension)
        assert isinstance(task, FineTuneTask)
        learnt = crops_of(dataset, choose_material(dataset, recipe).learnt, recipe)
        embeddings = _embed(task, learnt)
        with torch.no_grad():
            for person in range(people):
                task.centres[person] = embeddings[torch.from_numpy(learnt.labels == person)].mean(dim=0)
        return task

    return make


def _embed(task: Task, crops: Crops, batch: int = 32) -> torch.Tensor:
    """Unit embeddings `(n, d)` of all crops as they are."""
    task.eval()
    with torch.inference_mode():
        parts = [
            functional.normalize(
                task.network(torch.stack([crops[0, at][0] for at in range(start, min(start + batch, len(crops)))]))
            )
            for start in range(0, len(crops), batch)
        ]
    task.train()
    return torch.cat(parts).clone()


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


def _calibrated(bundle: Bundle, dataset: Dataset, cache: Path, watch: Watch) -> tuple[Bundle, str]:
    """The bundle with a calibration on the people not learnt, or as it is with the reason why not."""
    if bundle.has("calibration"):
        return bundle, ""
    try:
        with watch("calibrating") as progress:
            calibration = calibrate_dataset(bundle, dataset, "validation", cache=cache, progress=progress)
    except CalibrationError as error:
        return bundle, f"without a calibration, so without probabilities: {error.message}"
    finest = calibration.finest_rate
    words = (
        f"its probabilities rest on {calibration.people} people and support false-match rates down to {finest:.2g}; "
        "fit them on more people with `likeness calibrate`"
    )
    return write_calibrated(bundle, calibration, None), words
