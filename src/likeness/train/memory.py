"""What is remembered of people from step to step: a few photos of each, their centres, and how the steps went.

A folder with an ordinary data set of crops. A row's label `use` says what a crop is for: an `exemplar` is learnt again
in later steps (`rank` 1 tells most), a `held` one is never learnt and tells what was forgotten. `step` is when it
came. `named` and `found` have a letter for each step since: whether the classifier named, and whether the nearest
exemplar showed, the right person then (y) or not (n).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from likeness.arrays import read_arrays
from likeness.bundle import Bundle, place_folder, write_manifest
from likeness.data.dataset import FACTS, MANIFEST, Dataset, Facts, replace_file, storage_error
from likeness.data.manifest import Row
from likeness.errors import Conflict, DatasetError
from likeness.types import Vector

STATE, STEPS, CROPS = "memory.json", "steps", "crops"
BEGUN = "begun"
"""Folder of the people whom the first network knew, until the memory is written."""
DATA, ARRIVED = "data", "arrived"
"""Folders of a step that is not finished: all photos that it learns from, and those that are new."""
EXEMPLAR, HELD, LEARN = "exemplar", "held", "learn"
"""Values of the label `use`; photos to `learn` are in a step's data set only."""


class State(BaseModel):
    """`memory.json`: the series of networks that the memory goes with.

    Attributes:
        series: what the first network was called. model: digest of the file of the last one.
        exemplars: how many there may be of all people together.
        space_from: the step whose network began the embedding space that is in force.
        steps: figures after each step, the first of the network that began; they name nobody.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    series: str
    model: str
    exemplars: int
    space_from: int = 0
    steps: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, eq=False)
class Memory:
    """A memory that was read.

    Attributes:
        centres: person → `(d,)` of unit length, in the order in which the people came.
    """

    folder: Path
    state: State
    dataset: Dataset
    centres: Mapping[str, Vector]

    @classmethod
    def read(cls, folder: Path) -> Memory:
        """Read the memory in a folder.

        Raises:
            DatasetError: there is none, or it is malformed.
        """
        try:
            state = State.model_validate_json((folder / STATE).read_bytes())
            data = read_arrays(folder / _centres_of(state))
            names, vectors = data["identities"].tolist(), data["weights"].astype(np.float32)
        except FileNotFoundError as error:
            missing = Path(str(error.filename)).name
            raise DatasetError(f"{str(folder)!r} is no memory of people: it has no {missing}") from None
        except (OSError, ValueError, KeyError, ValidationError) as error:
            raise DatasetError(f"the memory {str(folder)!r} cannot be read: {type(error).__name__}") from None
        return cls(folder, state, Dataset.read(folder), dict(zip(names, vectors, strict=True)))

    @property
    def step(self) -> int:
        """The number of the last step; 0 where none was made yet."""
        return len(self.state.steps) - 1

    @property
    def first(self) -> Bundle:
        """The network that began the embedding space which is in force."""
        return Bundle.read(self.folder / _first_of(self.state))

    @staticmethod
    def parts(folder: Path) -> list[Path]:
        """All that lies in a folder of a memory, finished or not, but for the lock and the steps."""
        names = (BEGUN, CROPS, MANIFEST, FACTS, STATE, "*centres*", "first-*", ".first-*", f".{STATE}.*")
        return [path for name in names for path in folder.glob(name)]

    def write(self, source: Path, first: Bundle) -> None:
        """Write the memory; photos that it does not have yet come from the folder `source`.

        The state comes last, and names what goes with it: a memory without it, or with that of the step before, is
        written again by the same step, which finds the network and the centres that it began with.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for row in self.dataset.rows:
                copy_photo(source / row.path, self.folder / row.path)
            place = self.folder / _first_of(self.state)
            if first.folder != place:
                place_folder(place, lambda aside: _keep_first(first, aside), replace=True)
            self.dataset.write()
            self._drop_others()
            self._write_centres()
            replace_file(self.folder / STATE, (self.state.model_dump_json(indent=1) + "\n").encode())
            for path in self.folder.glob("centres-*"):
                if path.name != _centres_of(self.state):
                    path.unlink()
            for path in self.folder.glob("first-*"):
                if path != place:
                    shutil.rmtree(path)
        except OSError as error:
            raise storage_error(error, self.folder) from error

    def _write_centres(self) -> None:
        aside = self.folder / ".centres.npz"
        vectors = np.stack(list(self.centres.values())) if self.centres else np.empty((0, 1), np.float32)
        np.savez(aside, weights=vectors, identities=np.array(list(self.centres), np.str_))
        aside.replace(self.folder / _centres_of(self.state))

    def _drop_others(self) -> None:
        """Delete photos that the memory no longer has."""
        kept = {row.path for row in self.dataset.rows}
        crops = self.folder / CROPS
        for path in sorted(crops.rglob("*"), reverse=True):
            if path.is_dir():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path.relative_to(self.folder).as_posix() not in kept:
                path.unlink()


def expect_continues(memory: Memory, bundle: Bundle, budget: int | None) -> Memory:
    """The memory where it goes with this bundle, with room for another number of exemplars where one is given.

    Raises:
        Conflict: it goes with another.
    """
    if bundle.manifest.files["model"].sha256 != memory.state.model:
        raise Conflict(
            f"the memory {str(memory.folder)!r} goes with another network of the series {memory.state.series} than "
            f"{bundle.manifest.name}",
            hint=f"continue {memory.state.steps[-1]['name']}, or begin another memory with --memory",
        )
    if budget is None:
        return memory
    return replace(memory, state=memory.state.model_copy(update={"exemplars": budget}))


def rows_used(rows: Sequence[Row], use: str) -> list[Row]:
    """The rows with this value of the label `use`."""
    return [row for row in rows if row.label("use") == use]


def relabelled(row: Row, **labels: str | float) -> Row:
    """The row with these labels instead of those of the same names."""
    return replace(row, labels={**row.labels, **labels})


def empty_memory(folder: Path, facts: Facts, bundle: Bundle, exemplars: int) -> Memory:
    """A memory of nobody yet, that goes with a bundle; not written."""
    state = State(series=bundle.manifest.name, model=bundle.manifest.files["model"].sha256, exemplars=exemplars)
    remembered = facts.model_copy(update={"name": f"people of {bundle.manifest.name}", "steps": ("remembered",)})
    return Memory(folder, state, Dataset(folder, remembered, ()), {})


def copy_photo(source: Path, target: Path) -> None:
    """Copy a file, in one step, where it is not there yet."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, aside)
    aside.replace(target)


def _centres_of(state: State) -> str:
    """The file of the centres after the last step: until a new state is written, the old one has its own."""
    return f"centres-{len(state.steps) - 1:03d}.npz"


def _first_of(state: State) -> str:
    """The folder of the network that began the embedding space: a new space has its own until the state tells of it."""
    return f"first-{state.space_from:03d}"


def _keep_first(bundle: Bundle, folder: Path) -> None:
    """The bundle's network alone: a classifier would name people."""
    model = bundle.path("model")
    shutil.copyfile(model, folder / model.name)
    write_manifest(folder, bundle.manifest.model_dump(mode="json", exclude={"files"}), {"model": model.name})
