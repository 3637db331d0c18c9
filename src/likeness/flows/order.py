"""What is asked of a refresh, and who is told how it goes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from likeness.data.sources.base import Told, nobody
from likeness.data.splits import DEFAULT_SHARES
from likeness.errors import InputError

Figure = Literal["tar", "accuracy", "eer"]
FIGURES: dict[Figure, str] = {
    "tar": "the share of true accepts at FMR 1%",
    "accuracy": "verification accuracy",
    "eer": "the equal error rate",
}
"""By which a new model may be found better, on people whom neither learnt."""
Watch = Callable[[str], AbstractContextManager[Told]]
"""Of a kind of work in a word: what is told how far it is."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is asked of a refresh; the same order goes on with one that was stopped.

    Attributes:
        storage: URI of the photos, a folder for each person: a folder, or s3://bucket/prefix.
        home: folder that is kept from refresh to refresh: data, models, memory, and which of them are in force.
        name: what the published model is called, whichever version is in force.
        base: the bundle that the first refresh begins with. old: photos of people whom that knows, if any.
        dataset: where versions of the data set are pushed to: a folder, or hf://OWNER/NAME; empty: below `home`.
        licence: terms of the photos, as the data set states them.
        recipe, changes: of the training (`likeness train --continue`).
        shares: of people: train, validation, test.
        figure, margin: the new model is published where this figure is better by more than the margin.
        budget: how much the figures of `likeness train --continue` may fall. exemplars: room of its memory.
        least_people: so many people must have come, to be learnt, before a network is trained.
        new_space: publish also a model that cannot search old galleries; the gallery is embedded anew at once.
        accept: people whose photos are taken though they look like somebody else's, or unlike each other.
        again: train though the same photos came to nothing before.
    """

    storage: str
    home: Path
    name: str = "people"
    base: str = ""
    old: Path | None = None
    dataset: str = ""
    licence: str = ""
    recipe: str = "continue"
    changes: tuple[str, ...] = ()
    shares: tuple[float, float, float] = DEFAULT_SHARES
    figure: Figure = "tar"
    margin: float = 0.005
    budget: float = 0.02
    exemplars: int | None = None
    least_people: int = 2
    new_space: bool = False
    accept: tuple[str, ...] = ()
    again: bool = False

    def __post_init__(self) -> None:
        if not -1 <= self.margin <= 1:
            raise InputError(f"expected a margin from -1 to 1, got {self.margin}", hint="0.005 is half a point")
        if self.figure not in FIGURES:
            raise InputError(f"no figure is called {self.figure!r}", hint=f"known: {', '.join(FIGURES)}")
        if not self.name or "/" in self.name or self.name.startswith("."):
            raise InputError(f"{self.name!r} cannot be the name of a model", hint="letters, digits and dashes")

    @property
    def digest(self) -> str:
        """Hex digest of what decides the work; an unfinished refresh goes on by the same one only."""
        told = {key: value for key, value in asdict(self).items() if key not in ("home", "again")}
        return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def _nothing(what: str) -> Iterator[Told]:
    yield nobody


@dataclass(frozen=True, slots=True)
class Tell:
    """Who is told: remarks, progress, and the end of each part of the work. No name of a person is ever said."""

    say: Callable[[str], None] = lambda text: None
    watch: Watch = _nothing
    reached: Callable[[str], None] = lambda point: None


Facts = dict[str, Any]
"""What came of a part of the work: counts and figures, as plain data."""
