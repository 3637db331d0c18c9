"""The folder of refreshes: data, models and memories side by side, and one link that says which are in force.

```
current -> states/0004       the only thing that is ever exchanged: in one step
states/0004/                 state.json, photos.csv (what became of each photo), bundle -> ../../bundles/people-2
data/v0003/                  the data set of crops as it is now
bundles/people-2/            published models: the one in force and the one before it
memories/people-2/           what `likeness train --continue` keeps with each of them
work/                        a refresh that is not finished
reports/0004/                what each one came to
```

A reader who follows `current` finds one whole state, before the exchange or after it. All else is written beside.
"""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness.data.dataset import replace_file, storage_error
from likeness.errors import Conflict, DatasetError

CURRENT, STATES, DATA, BUNDLES, MEMORIES, WORK, REPORTS = (
    "current",
    "states",
    "data",
    "bundles",
    "memories",
    "work",
    "reports",
)
STATE, PHOTOS, BUNDLE = "state.json", "photos.csv", "bundle"
ASIDE = "set-aside.csv"
"""Of a report: the photos that were not taken, and why."""
KEPT = 2
"""How many models are kept: the one in force, and the one to roll back to."""


class Model(BaseModel):
    """A model that was published: its folder's name, the data set's version that it has learnt, its figures."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    data: int
    date: str
    figures: dict[str, Any] = {}
    learnt: str = ""


class State(BaseModel):
    """`state.json`: what is in force.

    Attributes:
        number: counts the states. run, phase: the refresh that made it, and how far it was.
        data: version of the data set, 0 where there is none. made: how many models were made.
        models: those that were published, the last one in force. withdrawn: the one that was rolled back last.
        declined: digests of what was learnt in vain, so that it is not learnt again and again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    number: int = 0
    run: int = 0
    phase: Literal["", "grown", "judged", "rolled back"] = ""
    data: int = 0
    made: int = 0
    models: tuple[Model, ...] = ()
    withdrawn: Model | None = None
    declined: tuple[str, ...] = ()

    @property
    def model(self) -> Model | None:
        """The one in force."""
        return self.models[-1] if self.models else None


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a photo of the storage: `outcome` is `taken`, or the code of why it was set aside."""

    path: str
    token: str
    sha256: str
    outcome: str
    reason: str
    version: int


@dataclass(frozen=True, slots=True)
class Home:
    """The folder of refreshes."""

    folder: Path

    @property
    def work(self) -> Path:
        """The folder of an unfinished refresh."""
        return self.folder / WORK

    @property
    def reports(self) -> Path:
        """What refreshes came to, a folder each."""
        return self.folder / REPORTS

    @property
    def published(self) -> Path:
        """The bundle in force, by way of the link that is exchanged."""
        return self.folder.absolute() / CURRENT / BUNDLE

    def state(self) -> State:
        """What is in force; an empty state where no refresh has been yet.

        Raises:
            DatasetError: it cannot be read.
        """
        try:
            return State.model_validate_json((self.folder / CURRENT / STATE).read_bytes())
        except FileNotFoundError:
            if (self.folder / CURRENT).is_symlink():
                raise DatasetError(f"{str(self.folder)!r} has lost its present state") from None
            return State()
        except (OSError, ValidationError) as error:
            raise DatasetError(
                f"the state of {str(self.folder)!r} cannot be read: {type(error).__name__}",
                hint=f"the folders below {STATES} are whole states: let {CURRENT} link to an earlier one",
            ) from None

    def photos(self) -> dict[str, Seen]:
        """What became of each photo, by its path in the storage."""
        try:
            text = (self.folder / CURRENT / PHOTOS).read_text("utf-8")
        except FileNotFoundError:
            return {}
        found = (
            Seen(row["path"], row["token"], row["sha256"], row["outcome"], row["reason"], int(row["version"]))
            for row in csv.DictReader(io.StringIO(text, newline=""))
        )
        return {seen.path: seen for seen in found}

    def data(self, version: int) -> Path:
        """Folder of a version of the data set."""
        return self.folder / DATA / f"v{version:04d}"

    def bundle(self, model: Model) -> Path:
        """Folder of a model."""
        return self.folder / BUNDLES / model.name

    def memory(self, model: Model) -> Path:
        """Folder of what is remembered with a model."""
        return self.folder / MEMORIES / model.name

    def switch(self, state: State, photos: Iterable[Seen]) -> State:
        """Let another state be in force, in one step; what no state needs is deleted then.

        Raises:
            StorageError: it cannot be written.
        """
        state = state.model_copy(update={"number": self.state().number + 1})
        folder = self.folder / STATES / f"{state.number:04d}"
        aside = folder.with_name(f".{folder.name}")
        try:
            for left in (aside, folder):  # of a run that was killed just here
                shutil.rmtree(left, ignore_errors=True)
            aside.mkdir(parents=True)
            replace_file(aside / STATE, (state.model_dump_json(indent=1) + "\n").encode())
            replace_file(aside / PHOTOS, _as_csv(photos))
            if state.model is not None:
                (aside / BUNDLE).symlink_to(Path("..") / ".." / BUNDLES / state.model.name)
            aside.replace(folder)
            exchange_link(self.folder / CURRENT, Path(STATES) / folder.name)
        except OSError as error:
            raise storage_error(error, self.folder) from error
        self.prune()
        return state

    def prune(self) -> None:
        """Delete models, memories, versions of the data set and states that are no longer needed.

        Raises:
            StorageError: something cannot be deleted; it may show people.
        """
        state = self.state()
        models = {model.name for model in (*state.models[-KEPT:], *filter(None, [state.withdrawn]))}
        kept = {
            DATA: {self.data(state.data).name},
            BUNDLES: models,
            MEMORIES: models,
            STATES: {f"{number:04d}" for number in range(state.number - 1, state.number + 1)},
        }
        try:
            for part, names in kept.items():
                for path in (self.folder / part).glob("*"):
                    if path.name not in names:
                        shutil.rmtree(path)
        except OSError as error:
            raise storage_error(error, self.folder) from error


def exchange_link(link: Path, target: Path) -> None:
    """Let a link lead elsewhere, in one step."""
    aside = link.with_name(f".{link.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.replace(link)
    handle = os.open(link.parent, os.O_RDONLY)  # a rename is durable when its folder is
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def offer(home: Home, models: Path, name: str) -> None:
    """Let the name among the user's models lead to the bundle in force; until there is one it leads nowhere.

    Raises:
        Conflict: something else has the name.
        StorageError: it cannot be written.
    """
    link = models / name
    expect_offered(home, models, name)
    try:
        models.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            exchange_link(link, home.published)
    except OSError as error:
        raise storage_error(error, models) from error


def expect_offered(home: Home, models: Path, name: str) -> None:
    """Let a name pass that is free, or leads to this folder's bundle.

    Raises:
        Conflict: something else has the name.
    """
    link = models / name
    if link.is_symlink() and link.readlink() == home.published:
        return
    if link.is_symlink() or link.exists():
        raise Conflict(
            f"the model {name!r} in {str(models)!r} is another one than {str(home.folder)!r} publishes",
            hint="name the published model otherwise with --name",
        )


def copy_bundle(source: Path, folder: Path) -> None:
    """A bundle's files into a folder that was made for temporary ones, which is nobody's secret then."""
    folder.chmod(0o755)
    shutil.copytree(source, folder, dirs_exist_ok=True)


def _as_csv(photos: Iterable[Seen]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([field.name for field in fields(Seen)])
    writer.writerows(astuple(seen) for seen in sorted(photos, key=lambda seen: seen.path))
    return text.getvalue().encode("utf-8", "surrogatepass")
