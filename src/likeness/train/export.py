"""From a training's folder to a model bundle that the product runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from likeness.bundle import CLASSES, sha256_of
from likeness.data.dataset import Dataset
from likeness.errors import DatasetError
from likeness.train.bundling import (
    CALIBRATION_CROPS,
    MODEL,
    REAL_CROPS,
    TOLD,
    WEIGHTS,
    Exported,
    Written,
    expect_crops,
    expect_name,
    expect_target,
    licence_facts,
    place_bundle,
)
from likeness.train.checkpoint import Trained, load_trained
from likeness.train.crops import load_crops
from likeness.train.material import by_person
from likeness.train.onnx_export import OUTPUT, onnx_input
from likeness.train.recipe import AttributesPart, Recipe
from likeness.train.run import Run
from likeness.types import Pixels

CLASSES_FILE = "classes.npz"


def export_run(
    folder: Path,
    target: Path,
    *,
    dataset: Dataset | None = None,
    name: str | None = None,
    licence: str = WEIGHTS,
    int8: bool = False,
    keep_classes: bool = False,
    flip: bool = False,
    replace: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write the best network of a training as the bundle `target`, without its classifier.

    With `dataset` parity is measured on its crops too; int8 needs them, of people who were trained on.
    `keep_classes` keeps the classifier's rows and the people's names beside the network, for class accuracy. With
    `flip` the bundle averages each face with its mirror image: twice the work, embeddings of another space. `replace`
    lets a bundle that is there go when the new one is whole.

    Raises:
        InputError: no bundle can be called so.
        DatasetError: there is no finished epoch, or int8 is asked for without the crops.
        Conflict: `target` is there already.
        ExportFailed: the file does not agree with the network.
    """
    expect_name(name or target.name)
    trained = load_trained(folder)
    expect_target(target, replace=replace)
    expect_crops(int8, dataset)
    crops = training_crops(trained.run, dataset, CALIBRATION_CROPS if int8 else REAL_CROPS) if dataset else None
    if keep_classes and trained.classes is None:
        raise DatasetError(f"the training in {str(folder)!r} learnt no classifier that could be kept")
    recipe = trained.run.recipe
    outputs = TOLD if isinstance(recipe.task, AttributesPart) else (OUTPUT,)

    def describe(aside: Path) -> tuple[dict[str, Any], dict[str, str]]:
        if keep_classes:
            _write_classes(trained, aside / CLASSES_FILE)
        facts = describe_bundle(trained.run, aside / MODEL, name=name or target.name, licence=licence, flip=flip)
        return facts, {CLASSES: CLASSES_FILE} if keep_classes else {}

    written = Written(trained.network, recipe.network.input, crops, int8, outputs)
    return place_bundle(written, target, describe, replace=replace, say=say)


def describe_bundle(run: Run, model: Path, *, name: str, licence: str = WEIGHTS, flip: bool = False) -> dict[str, Any]:
    """The manifest of a trained bundle, less its files; its embedding space is named by the network's digest."""
    part, data = run.recipe.network, run.data
    people = f"{data.people:,} people" if data.people else f"{data.photos:,} photos"
    return {
        "name": name,
        "version": "1",
        **_role(run, model, flip=flip),
        "engine": "aligned-crop",
        "summary": f"{run.recipe.summary.rstrip('.')}; trained on {people} of {data.name}.",
        "input": onnx_input(part.input).model_dump(mode="json"),
        "alignment": {"template_px": data.crops.template_for(part.side_px)},
        "parameters": {"flip": True} if flip else {},
        "metrics": [
            {
                "name": key,
                "value": value,
                "data": f"{data.name}, {_unseen(run)} not trained on; they chose the epoch",
                "protocol": f"during training, epoch {run.best + 1}",
                "date": datetime.now(UTC).date().isoformat(),
            }
            for key, value in (run.epochs[run.best] if run.epochs else {}).items()
            # Where no epoch was chosen, what is watched are photos of people who are learnt.
            if key.startswith("validation/") and run.recipe.loop.keep == "best"
        ],
        "licence": licence_facts(licence, data.licence, run.base_licence),
        "origin": {
            "recipe": _told(run.recipe),
            "started_from": run.started_from or "random weights or ImageNet's, as the recipe says",
            "data": {"name": data.name, "digest": data.digest, "people": data.people, "photos": data.photos},
            "trained_people": people_digests(run.people),
            "seconds": run.seconds,
            "epochs": len(run.epochs),
            "machine": run.machine,
            "versions": run.versions,
            "commit": run.commit,
        },
    }


def _role(run: Run, model: Path, *, flip: bool) -> dict[str, Any]:
    """What the bundle is for, and what comes out of it."""
    recipe, task = run.recipe, run.recipe.task
    if isinstance(task, AttributesPart):
        labels = (
            f"ages and genders as {run.data.name} labels them: noted or estimated from looks, a gender as one of two; "
            "how people are seen on photos, not who they are"
        )
        told = {"first_year": task.first_year, "year_step": task.year_step, "age_bins": task.age_bins, "labels": labels}
        return {"role": "attributes", "attributes": told}
    space = f"{recipe.name}-{sha256_of(model)[:12]}{'-flip' if flip else ''}"
    return {"role": "embedder", "embedding": {"dimension": recipe.network.dimension, "space": space}}


def _unseen(run: Run) -> str:
    """What the validation was, in words: people, or where nobody is named photos."""
    data = run.data
    return f"{data.validation_people} people who were" if data.validation_people else f"{data.validation_photos} photos"


def _told(recipe: Recipe) -> dict[str, Any]:
    """What a recipe states beyond the defaults, and the kind of its task, which is a default within its kind.

    Of a file of weights the name is told, not where it lay.
    """
    told = recipe.model_dump(mode="json", exclude_defaults=True)
    if recipe.network.weights is not None:
        told["network"]["weights"] = recipe.network.weights.name
    told["task"] = {"kind": recipe.task.kind} | told["task"]
    return told


def people_digests(people: Sequence[str]) -> str:
    """One digest over all names, which tells whether two trainings had the same people without naming them."""
    return hashlib.sha256("\n".join(sorted(people)).encode()).hexdigest()


def training_crops(run: Run, dataset: Dataset, most: int) -> Pixels:
    """Crops of people who were trained on, one of each as far as they go, at the network's size.

    Where the training named nobody, crops of its split.

    Raises:
        DatasetError: the data set names none of them.
    """
    if not run.people:
        return load_crops(dataset, dataset.of_split("train")[:most], run.recipe.network.side_px)
    known = by_person([row for row in dataset.rows if row.identity in set(run.people)])
    rows = [rows[0] for rows in known.values()][:most]
    rows += [row for group in known.values() for row in group[1:]][: most - len(rows)]
    if not rows:
        raise DatasetError(f"the data set {str(dataset.folder)!r} names nobody whom the training knew")
    return load_crops(dataset, rows, run.recipe.network.side_px)


def _write_classes(trained: Trained, path: Path) -> None:
    assert trained.classes is not None
    np.savez(path, weights=trained.classes.numpy().astype(np.float32), identities=np.array(trained.run.people))
