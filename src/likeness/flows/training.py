"""Any recipe from photos to a bundle with a card: crop, train, export, calibrate, evaluate, place.

Each part finds what those before it left in the folder, and goes on where it was stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from likeness.bundle import MANIFEST, Bundle, place_folder
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import FACTS, Dataset, Facts, replace_file
from likeness.data.sources import open_source
from likeness.data.splits import DEFAULT_SHARES, split_by_person
from likeness.errors import CalibrationError, Conflict, DatasetError, InputError
from likeness.evaluate.attribute_faces import calibrate_attributes, predict_faces
from likeness.evaluate.attributes import evaluate_attributes
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated, write_told
from likeness.evaluate.dataset import evaluate_dataset
from likeness.evaluate.report import JSON, write_report
from likeness.flows.home import copy_bundle
from likeness.flows.order import Facts as Told
from likeness.flows.order import Tell
from likeness.service.publishing import push_model
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.train.recipe import Recipe

DATA, RUN, MADE, REPORT, CARD = "data", "run", "bundle", "report", "published"
SPLIT = "split by person"


@dataclass(frozen=True, slots=True)
class TrainOrder:
    """What is asked of a training.

    Attributes:
        photos: a folder with a folder of photos for each person, or a data set that is cropped and split.
        folder: where the work is done; a run that was stopped goes on there. name: of the bundle.
        licence: terms of the weights, as the bundle states them. replace: exchange a bundle of that name.
    """

    recipe: str
    photos: Path
    folder: Path
    name: str = ""
    changes: tuple[str, ...] = ()
    smoke: bool = False
    shares: tuple[float, float, float] = DEFAULT_SHARES
    licence: str = ""
    replace: bool = False

    @property
    def bundle(self) -> str:
        """What the bundle is called."""
        return self.name or Path(self.recipe).stem


def train_bundle(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """All parts, one after the other; gives what came of each."""
    return {part: do_part(part, order, settings, tell) for part in PARTS}


def do_part(part: str, order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """One part of the work."""
    tell.say(f"{part} …")
    facts = PARTS[part](order, settings, tell)
    tell.reached(part)
    return facts


def crop(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """Crops of the photos, split by person; a data set that is both already is taken as it is.

    Raises:
        Conflict: a bundle of the name is there, and is not to be replaced.
        DatasetError: it is neither people's photos nor a cropped data set.
    """
    _expect_free(order, settings)
    _recipe(order)  # one that cannot be used is refused before the work
    if (order.photos / FACTS).is_file():
        return Dataset.read(order.photos).summary()
    listing = open_source(order.photos)
    out = order.folder / DATA
    facts = Facts(name=order.bundle, source=listing.origin, licence=listing.licence, steps=("likeness flow train",))
    with tell.watch("cropping") as progress:
        done = crop_dataset(
            listing.rows,
            listing.folder,
            open_cropper(settings, say=tell.say),
            out,
            facts=facts,
            workers=settings.threads,
            progress=progress,
        )
    dataset = done.dataset
    if not any(row.split for row in dataset.rows):
        dataset = dataset.with_rows(split_by_person(dataset.rows, shares=order.shares), step=SPLIT)
        dataset.write()
    return dataset.summary() | {"refused": done.refused}


def train(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """The network, by the recipe."""
    from likeness.train.loop import train as train_folder

    with tell.watch("training") as progress:
        run = train_folder(_data(order), _recipe(order), order.folder / RUN, say=tell.say, progress=progress)
    return {"epochs": len(run.epochs), "best": run.best + 1, "figures": run.epochs[run.best]}


def export(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """The bundle, as yet without probabilities."""
    from likeness.train.bundling import WEIGHTS
    from likeness.train.export import export_run

    licence = order.licence or WEIGHTS
    made = order.folder / MADE
    done = export_run(
        order.folder / RUN, made, dataset=_data(order), name=order.bundle, licence=licence, replace=True, say=tell.say
    )
    return {"bytes": done.bundle.manifest.files["model"].bytes, "max_difference": done.parity.max_difference}


def calibrate(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """Probabilities, fitted on the split validation; a model of too few people stays without."""
    bundle, data = Bundle.read(order.folder / MADE), _data(order)
    with tell.watch("calibrating") as progress:
        if bundle.manifest.role == "attributes":
            told = calibrate_attributes(bundle, data, "validation", progress=progress, threads=settings.threads)
            write_told(bundle, told, None)
            return {"calibrated": True}
        try:
            fitted = calibrate_dataset(bundle, data, cache=_cache(order), progress=progress, threads=settings.threads)
        except CalibrationError as error:
            tell.say(f"{order.bundle} gives no probabilities: {error.message}")
            return {"calibrated": False, "why": error.message}
    write_calibrated(bundle, fitted, None)
    return {"calibrated": True}


def evaluate(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """The report on the split test."""
    bundle, data = Bundle.read(order.folder / MADE), _data(order)
    with tell.watch("evaluating") as progress:
        if bundle.manifest.role == "attributes":
            found, behind = predict_faces(bundle, data, "test", progress=progress, threads=settings.threads)
            words = f"{data.facts.name}, split test"
            report: dict[str, Any] = evaluate_attributes(found, name=order.bundle, data=words, behind=behind)
        else:
            report = evaluate_dataset(bundle, data, cache=_cache(order), progress=progress, settings=settings)
    page = write_report(report, order.folder / REPORT)
    return {"page": str(page)}


def place(order: TrainOrder, settings: Settings, tell: Tell) -> Told:
    """The bundle with its card among the user's models.

    Raises:
        LicenceMissing: nothing says on which terms the weights or the data are.
        Conflict: a bundle of the name is there, and is not to be replaced.
    """
    _expect_free(order, settings)
    made, target = order.folder / CARD, _target(order, settings)
    shutil.rmtree(made, ignore_errors=True)
    bundle = Bundle.read(order.folder / MADE)
    report = order.folder / REPORT / JSON if bundle.manifest.role == "embedder" else None
    push_model(bundle, str(made), report=report, say=tell.say)
    place_folder(target, lambda aside: copy_bundle(made, aside), replace=True)
    replace_file(order.folder / "placed.json", json.dumps({"model": _digest(made)}).encode())
    return {"bundle": order.bundle, "folder": str(target)}


PARTS: dict[str, Callable[[TrainOrder, Settings, Tell], Told]] = {
    "crop": crop,
    "train": train,
    "export": export,
    "calibrate": calibrate,
    "evaluate": evaluate,
    "card": place,
}
"""What a training does, in order."""


def _recipe(order: TrainOrder) -> Recipe:
    """The recipe of the order.

    Raises:
        RecipeInvalid: it is not there, or cannot be used.
        InputError: it begins with a bundle.
    """
    from likeness.train.recipe import load_recipe

    recipe = load_recipe(order.recipe, order.changes, smoke=order.smoke)
    if recipe.task.kind in ("fine-tune", "continual"):
        raise InputError(
            f"the recipe {recipe.name} begins with a bundle", hint="likeness train --from, or likeness flow refresh"
        )
    return recipe


def _data(order: TrainOrder) -> Dataset:
    dataset = Dataset.read(order.photos if (order.photos / FACTS).is_file() else order.folder / DATA)
    if dataset.facts.crops is None or not any(row.split for row in dataset.rows):
        raise DatasetError(
            f"{str(dataset.folder)!r} is not cropped, or not split",
            hint="give a folder of photos, or use `likeness data crop` and `likeness data split`",
        )
    return dataset


def _target(order: TrainOrder, settings: Settings) -> Path:
    return Path(settings.models).expanduser() / order.bundle


def _cache(order: TrainOrder) -> Path:
    return order.folder / "embeddings"


def _digest(folder: Path) -> str:
    return Bundle.read(folder).manifest.files["model"].sha256


def _expect_free(order: TrainOrder, settings: Settings) -> None:
    """Let a name pass that is free, is to be replaced, or is that of this very work's bundle."""
    target, note = _target(order, settings), order.folder / "placed.json"
    if order.replace or not target.exists():
        return
    mine = (target / MANIFEST).is_file() and note.is_file() and json.loads(note.read_bytes())["model"]
    if mine != _digest(target):
        raise Conflict(f"the bundle {str(target)!r} is there already", hint="name another with --name, or --replace it")
