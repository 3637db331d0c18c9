"""Triplets: an anchor, another photo of the same person, and a photo of somebody else; fixed, seeded, kept in files."""

from __future__ import annotations

import csv
import io
import os
import random
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import DatasetError, InputError, PhotoMissing, StorageError

FOLDER = "triplets"
EVERYTHING = "all"
"""The split in the name of a file whose triplets were drawn from all rows."""
_COLUMNS = ["anchor", "positive", "negative"]
_NAME = re.compile(r"([a-z]+)-(\d+)-(-?\d+)")
_TRIES = 30


@dataclass(frozen=True, slots=True)
class Triplet:
    """Paths of three rows: anchor and positive show one person in two photos, the negative shows another person."""

    anchor: str
    positive: str
    negative: str


@dataclass(frozen=True, slots=True)
class TripletFile:
    """A file of triplets: where it is, the split it was drawn from, how many it holds, and the seed."""

    path: Path
    split: str
    count: int
    seed: int

    @property
    def name(self) -> str:
        """What it is called in commands."""
        return self.path.stem


def make_triplets(rows: Iterable[Row], count: int, seed: int = 0) -> list[Triplet]:
    """`count` triplets of the rows, the same for the same rows in any order, count and seed.

    Anchors' people come in rounds: each person of at least two photos once, in an order drawn for the round; so do
    negatives' people, and each person's photos. No triplet comes twice as long as there is another; people whose
    triplets are used up leave the rounds. Names written differently (`person_key`) are one person.

    Raises:
        InputError: there are fewer than two people, or nobody has two photos.
    """
    photos = by_person(rows)
    several = [person for person in photos if len(photos[person]) > 1]
    if count < 1 or not several or len(photos) < 2:
        raise InputError(
            f"expected at least 1 triplet, two people and one of them with two photos, got {count} of {len(photos)} "
            f"people, {len(several)} with two photos"
        )
    draw = random.Random(seed)  # noqa: S311 - to come out the same again, not to be secret
    made: list[Triplet] = []
    while len(made) < count:  # a second time only where all triplets that there are do not suffice
        made += _distinct(photos, several, count - len(made), draw)
    return made


def by_person(rows: Iterable[Row]) -> dict[str, list[str]]:
    """Paths of the named rows by person, both in order."""
    photos: dict[str, set[str]] = {}
    for row in rows:
        if row.identity:
            photos.setdefault(person_key(row.identity), set()).add(row.path)
    return {person: sorted(photos[person]) for person in sorted(photos)}


def _distinct(photos: dict[str, list[str]], several: list[str], count: int, draw: random.Random) -> list[Triplet]:
    """Different triplets, `count` or all there are."""
    total = sum(map(len, photos.values()))
    left = {person: _pairs_of(photos[person]) * (total - len(photos[person])) for person in several}
    pairs = {person: _Pairs(photos[person], draw) for person in several}
    others = _Rounds(list(photos), draw)
    strangers = {person: _Rounds(paths, draw) for person, paths in photos.items()}
    made: dict[Triplet, None] = {}
    while len(made) < count and left:
        for person in draw.sample(sorted(left), len(left)):
            if len(made) == count:
                break
            for _ in range(_TRIES):
                other = others.next(but=person)
                triplet = Triplet(*pairs[person].next(), strangers[other].next())
                if triplet not in made:
                    break
            else:
                triplet = _any_new(photos, person, draw, made)
            made[triplet] = None
            left[person] -= 1
            if not left[person]:
                del left[person]
    return list(made)


def _any_new(photos: dict[str, list[str]], person: str, draw: random.Random, made: dict[Triplet, None]) -> Triplet:
    """A triplet of this person, nearly all of whose are made, that is not; there must be one."""
    own = photos[person]
    strangers = [path for other, paths in photos.items() if other != person for path in paths]
    new = [
        triplet
        for anchor in own
        for positive in own
        if positive != anchor
        for stranger in strangers
        if (triplet := Triplet(anchor, positive, stranger)) not in made
    ]
    return draw.choice(new)


def _pairs_of(paths: Sequence[str]) -> int:
    """How many ordered pairs of different paths there are."""
    return len(paths) * (len(paths) - 1)


class _Rounds:
    """All items once a round, each round in a new order."""

    def __init__(self, items: Sequence[str], draw: random.Random) -> None:
        self._items, self._draw = items, draw
        self._waiting: list[str] = []

    def next(self, *, but: str | None = None) -> str:
        """The next item that is not `but`, whose turn stays; there must be another."""
        while all(item == but for item in self._waiting):
            self._waiting = self._draw.sample(self._items, len(self._items)) + self._waiting
        at = next(at for at in reversed(range(len(self._waiting))) if self._waiting[at] != but)
        return self._waiting.pop(at)


class _Pairs:
    """All ordered pairs of a person's photos, each once before one comes again; anchors take turns."""

    def __init__(self, paths: Sequence[str], draw: random.Random) -> None:
        self._paths = draw.sample(paths, len(paths))
        self._steps = draw.sample(range(1, len(paths)), len(paths) - 1)
        self._number = 0

    def next(self) -> tuple[str, str]:
        """The next anchor and positive."""
        turn, place = divmod(self._number, len(self._paths))
        self._number = (self._number + 1) % _pairs_of(self._paths)
        return self._paths[place], self._paths[(place + self._steps[turn]) % len(self._paths)]


def triplets_path(dataset: Path, split: str, count: int, seed: int) -> Path:
    """Where triplets of a data set's folder are kept: `triplets/SPLIT-COUNT-SEED.csv`."""
    return dataset / FOLDER / f"{split or EVERYTHING}-{count}-{seed}.csv"


def list_triplets(dataset: Path) -> list[TripletFile]:
    """The files of triplets in a data set's folder, in order of their names."""
    found = []
    for path in sorted((dataset / FOLDER).glob("*.csv")):
        if match := _NAME.fullmatch(path.stem):
            found.append(TripletFile(path, match[1], int(match[2]), int(match[3])))
    return found


def read_triplets(path: Path) -> list[Triplet]:
    """Read a file of triplets; whether its paths are rows of a data set is asked by `check_triplets`.

    Raises:
        PhotoMissing: there is none. DatasetError: it is malformed.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise PhotoMissing(
            f"there are no triplets {str(path)!r}", hint="`likeness triplets make` makes them, `list` shows them"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the triplets {str(path)!r} cannot be read: {error}") from error
    try:
        lines = list(csv.reader(io.StringIO(text)))
    except csv.Error as error:
        raise DatasetError(f"{str(path)!r} is no CSV: {error}") from None
    if not lines or lines[0] != _COLUMNS:
        raise DatasetError(f"{str(path)!r} holds no triplets: its first line is not {','.join(_COLUMNS)}")
    for number, cells in enumerate(lines[1:], start=2):
        if len(cells) != len(_COLUMNS) or not all(cells):
            raise DatasetError(f"{str(path)!r}, line {number}: expected three paths, got {len(cells)} cells")
    return [Triplet(*cells) for cells in lines[1:]]


def write_triplets(path: Path, triplets: Sequence[Triplet]) -> None:
    """Write a file of triplets in one step.

    Raises:
        StorageError: it cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows((each.anchor, each.positive, each.negative) for each in triplets)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(text.getvalue(), "utf-8")
        aside.replace(path)
    except OSError as error:
        raise StorageError(f"the triplets cannot be written to {str(path)!r}: {error.strerror}") from error


def check_triplets(triplets: Iterable[Triplet], rows: Iterable[Row], *, where: str) -> None:
    """Let triplets pass whose paths are rows, two of one person and one of another.

    Raises:
        DatasetError: one is not so; the message says which and why.
    """
    people = {row.path: person_key(row.identity) for row in rows if row.identity}
    for number, each in enumerate(triplets, start=1):
        missing = [path for path in (each.anchor, each.positive, each.negative) if path not in people]
        if missing:
            wrong = f"{missing[0]!r} is no row with a name"
        elif each.anchor == each.positive:
            wrong = "anchor and positive are one photo"
        elif people[each.anchor] != people[each.positive]:
            wrong = "anchor and positive show two people"
        elif people[each.anchor] == people[each.negative]:
            wrong = "the negative shows the anchor's person"
        else:
            continue
        raise DatasetError(f"{where}, triplet {number}: {wrong}", hint="the data set was changed: make them anew")
