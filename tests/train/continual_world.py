"""A small network that knows six invented people, batches of new ones, and steps of it: what tests of steps share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from patterned_people import write_patterned

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.settings import Settings
from likeness.train.continual import continue_bundle
from likeness.train.export import export_run
from likeness.train.loop import train
from likeness.train.recipe import Recipe, load_recipe
from likeness.train.steps import Asked, Places, Stepped

OLD, FIRST, SECOND, STRANGERS = ([f"{kind}-{number}" for number in range(6)] for kind in ("old", "one", "two", "else"))
TERMS = "patterns, for non-commercial research"
CHANGES = ("loop.epochs=3", "data.workers=0", "data.batch_size=16", "data.augment=none", "data.hold_photos=4")
FORGETFUL = "optimiser.learning_rate=3e-3"
"""With it and without protection a step forgets, and moves away from old galleries."""


class Stopped(BaseException):
    """Ends a step as abruptly as an exception can."""


@dataclass(frozen=True)
class World:
    """A network that knows the people of `old`, two batches of new ones, and strangers."""

    start: Bundle
    old: Dataset
    first: Dataset
    second: Dataset
    strangers: Dataset


@contextmanager
def watch(what: str) -> Iterator[object]:
    yield lambda done, total: None


def stop_at(work: str) -> Callable[[str], AbstractContextManager[object]]:
    """Stops a step when it comes to a kind of work."""

    @contextmanager
    def stopping(what: str) -> Iterator[object]:
        if what == work:
            raise Stopped
        yield lambda done, total: None

    return stopping


def make_world(folder: Path) -> World:
    """A world in a folder; its first network learnt from data whose terms forbid commercial use."""
    old = write_patterned(folder / "old", OLD, of_each=12)
    others = write_patterned(folder / "others", [f"apart-{number}" for number in range(4)], of_each=4)
    known = write_patterned(folder / "known", OLD, of_each=12, split="train", seed=1)
    for row in others.rows:
        (known.folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        (known.folder / row.path).hardlink_to(others.path(row))
    rows = (*known.rows, *(replace(row, split="validation") for row in others.rows))
    known = replace(known, rows=rows, facts=known.facts.model_copy(update={"licence": TERMS}))
    changes = ["loop.epochs=12", "data.workers=0", "network.side_px=32", "data.augment=none"]
    train(known, load_recipe("softmax-resnet50", changes, smoke=True), folder / "run")
    return World(
        start=export_run(folder / "run", folder / "start", dataset=known, keep_classes=True).bundle,
        old=old,
        first=write_patterned(folder / "first", FIRST, of_each=10),
        second=write_patterned(folder / "second", SECOND, of_each=10),
        strangers=write_patterned(folder / "strangers", STRANGERS, of_each=8, split="test"),
    )


def recipe(*changes: str) -> Recipe:
    return load_recipe("continue", [*CHANGES, "optimiser.learning_rate=1e-3", *changes])


def step(
    world: World,
    folder: Path,
    people: Dataset,
    *changes: str,
    start: Bundle | None = None,
    watching: object = watch,
    fresh: bool = False,
    name: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    **asked: object,
) -> Stepped:
    begun = (folder / "memory" / "memory.json").is_file()
    first = {"exemplars": None, "old": None} if begun else {"exemplars": 40, "old": world.old.folder}
    told = {"budget": 1.0} | first | asked
    return continue_bundle(
        start or world.start,
        people.folder,
        recipe(*changes),
        Places(folder / "memory", folder / "models", name),
        Asked(**told),
        settings=Settings.load(),
        say=say,
        watch=watching,
        fresh=fresh,
    )
