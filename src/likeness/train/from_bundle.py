"""What trainings share that begin with a bundle's network: its recipe, its network kept, people's crops and centres."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.bundle import Bundle, sha256_of
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts
from likeness.data.sources import open_source
from likeness.errors import ModelError, RunDiffers
from likeness.settings import Settings
from likeness.train.checkpoint import BASE
from likeness.train.crops import Crops
from likeness.train.loop import Say
from likeness.train.recipe import FROM_BUNDLE, Recipe, check_recipe
from likeness.train.run import RECORD

Watch = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]
"""Of a kind of work in a word: what is told how far it is."""


def fitted_recipe(recipe: Recipe, bundle: Bundle, kind: str = "fine-tune") -> Recipe:
    """The recipe, whose task must be of a kind, with the bundle's input and dimension.

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
            "only networks that take uint8 RGB pixels can be trained further",
        )
    values = recipe.model_dump(mode="json")
    if recipe.loop.devices > 1:
        raise ModelError(f"a bundle is trained further on one processor, got loop.devices = {recipe.loop.devices}")
    values["loop"]["devices"] = 1
    values["network"] |= {"side_px": manifest.input.side_px, "dimension": manifest.embedding.dimension}
    if values["network"]["backbone"] != FROM_BUNDLE or values["task"]["kind"] != kind:
        raise ModelError(
            f"the recipe {recipe.name} is not of the kind {kind}", hint="leave it out, or use the recipe that is"
        )
    return check_recipe(values, where=f"the recipe {recipe.name}")


def keep_base(old: Bundle, folder: Path) -> None:
    """Keep the network that a training begins with: when it goes on, it must be the same.

    Raises:
        RunDiffers: the folder holds a training that began with another.
    """
    model, base = old.path("model"), folder / BASE
    if (folder / RECORD).is_file() and not (base.is_file() and sha256_of(base) == sha256_of(model)):
        raise RunDiffers(
            f"{str(folder)!r} holds a training that did not begin with the network of {old.manifest.name}",
            hint="name another folder with --run, or begin anew with --fresh",
        )
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".{BASE}.part"
    shutil.copyfile(model, aside)
    aside.replace(base)


def crop_people(
    photos: Path, out: Path, settings: Settings, say: Say, watch: Watch, *, steps: tuple[str, ...] = ("cropped",)
) -> Dataset:
    """The people of a folder of photos as crops, in the data set `out`."""
    listing = open_source(photos)
    rows = [row for row in listing.rows if row.identity]
    cropper = open_cropper(settings, say=say)
    facts = Facts(name="own people", source=listing.source.name, licence=listing.source.licence, steps=steps)
    with watch("cropping") as progress:
        done = crop_dataset(rows, listing.folder, cropper, out, facts=facts, progress=progress)
    if done.refused:
        say(f"{done.refused} photos could not be used: {out / 'refused.csv'} says why.")
    return done.dataset


def embed_crops(network: nn.Module, crops: Crops, batch: int = 32) -> Tensor:
    """Unit embeddings `(n, d)` of all crops as they are."""
    training = network.training
    network.eval()
    with torch.inference_mode():
        parts = [
            functional.normalize(
                network(torch.stack([crops[0, at][0] for at in range(start, min(start + batch, len(crops)))]))
            )
            for start in range(0, len(crops), batch)
        ]
    network.train(training)
    return torch.cat(parts).clone()


def centres_of(embeddings: Tensor, labels: NDArray[np.intp], people: int) -> Tensor:
    """The mean `(people, d)` of each person's embeddings `(n, d)`."""
    return torch.stack([embeddings[torch.from_numpy(labels == person)].mean(dim=0) for person in range(people)])


def copy_bundle(source: Path, target: Path) -> None:
    """A bundle's files into a folder that is there."""
    shutil.copytree(source, target, dirs_exist_ok=True)
