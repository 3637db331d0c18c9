"""The record of a training: `run.json` in its folder, written after every epoch."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness import __version__
from likeness.data.dataset import CropFacts
from likeness.errors import DatasetError, RunDiffers
from likeness.train.recipe import Recipe

RECORD = "run.json"
CHECKPOINTS = "checkpoints"
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
    all sittings. `started_from` says which weights it began with.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    recipe: Recipe
    data: DataUsed
    people: tuple[str, ...]
    held: tuple[str, ...]
    started_from: str = ""
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
        aside = folder / f".{RECORD}.part"
        aside.write_text(self.model_dump_json(indent=1) + "\n", "utf-8")
        aside.replace(folder / RECORD)

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
    here = Path(__file__).resolve().parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607
            cwd=here,
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
