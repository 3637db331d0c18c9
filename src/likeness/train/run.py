"""The record of a training: `run.json` in its folder, written after every epoch."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness import __version__
from likeness.data.dataset import CropFacts, replace_file
from likeness.errors import Conflict, DatasetError, RunDiffers
from likeness.manifest import Licence
from likeness.train.recipe import Recipe

RECORD = "run.json"
CHECKPOINTS = "checkpoints"
HELD = "held.txt"
"""Paths of the photos held back, a line each: `likeness evaluate dataset --photos` takes it."""
CURVES = "tensorboard"
LOCK = ".lock"
LAST = "last.ckpt"
BEST = "best.ckpt"
LIBRARIES = ("torch", "torchvision", "timm", "lightning", "pytorch-metric-learning", "numpy")


class DataUsed(BaseModel):
    """Which data a training saw: name, licence and digest of the data set, how its crops were made, and how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    licence: str
    digest: str
    crops: CropFacts
    people: int
    photos: int
    held_photos: int
    validation_people: int
    validation_photos: int


class Run(BaseModel):
    """One training, finished or not.

    `epochs` holds the figures of each, `best` the number of the best by validation; `seconds` is the time spent in
    all sittings. `started_from` says which weights it began with, `base_licence` on what terms where they are a
    bundle's.
    """

    model_config = ConfigDict(extra="forbid", ser_json_inf_nan="constants")

    format: Literal[1] = 1
    recipe: Recipe
    data: DataUsed
    people: tuple[str, ...]
    held: tuple[str, ...]
    started_from: str = ""
    base_licence: Licence | None = None
    commit: str
    versions: dict[str, str]
    machine: dict[str, Any]
    seconds: float = 0.0
    epochs: list[dict[str, float]] = []
    best: int = -1
    finished: bool = False
    stopped: str = ""

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read the record in a training's folder.

        Raises:
            DatasetError: there is none, or it is malformed.
        """
        try:
            return cls.model_validate_json((folder / RECORD).read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{str(folder)!r} is no training's folder: it has no {RECORD}") from None
        except (OSError, ValidationError) as error:
            raise DatasetError(f"{folder / RECORD} cannot be read: {error}") from None

    def write(self, folder: Path) -> None:
        """Write the record in one step."""
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / RECORD, (self.model_dump_json(indent=1) + "\n").encode())

    def expect_same(self, other: Run, folder: Path) -> None:
        """Let a training go on that is the one in the folder; more epochs, other patience or devices are allowed.

        Raises:
            RunDiffers: recipe or data are others.
        """
        loose = {"loop": {"epochs", "patience", "devices"}}
        mine, its = (run.recipe.model_dump(exclude=loose) for run in (self, other))
        changed = [f"{part}.{key}" if key else part for part, key in _differences(mine, its)]
        if self.data.digest != other.data.digest:
            changed.append("the data")
        if changed:
            raise RunDiffers(
                f"{str(folder)!r} holds a training that differs in {', '.join(changed[:4])}",
                hint="name another folder with --run, or begin anew with --fresh",
            )

    def without_names(self) -> dict[str, Any]:
        """The record for people and programs, without who was trained on."""
        return self.model_dump(mode="json", exclude={"people", "held"})


def _differences(mine: dict[str, Any], its: dict[str, Any]) -> list[tuple[str, str]]:
    found = []
    for part in mine:
        if isinstance(mine[part], dict) and isinstance(its[part], dict):
            keys = sorted(mine[part].keys() | its[part].keys())
            found += [(part, key) for key in keys if mine[part].get(key) != its[part].get(key)]
        elif mine[part] != its[part]:
            found.append((part, ""))
    return found


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a training's folder, so that no second process trains in it.

    Raises:
        Conflict: another one does.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another process is training in {str(folder)!r}", hint="wait for its end, or name another folder"
            ) from None
        yield


def erase(folder: Path, *more: str) -> None:
    """Delete what a training wrote into its folder, and `more` of the names there; nothing else that lies in it."""
    for name in (CHECKPOINTS, CURVES, HELD, *more, RECORD):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """Versions of Likeness and of what it trains with."""
    found = {"likeness": __version__, "python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(device: str) -> dict[str, Any]:
    """What it runs on, in words."""
    return {"system": platform.system(), "processor": _processor(), "cores": os.cpu_count() or 1, "device": device}


def commit() -> str:
    """The commit of the code, with a + where the working tree differs from it; empty outside a repository."""
    here = Path(__file__).resolve()
    # An installation may lie inside somebody else's repository, whose commits say nothing of this code.
    if not _git("ls-files", "--error-unmatch", "--", here.name, cwd=here.parent):
        return ""
    return _git("describe", "--always", "--dirty=+", "--abbrev=12", cwd=here.parent)


def _git(*arguments: str, cwd: Path) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
