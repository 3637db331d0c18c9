"""Which photos are compared: pairs of a file, or all pairs of a sample, in folds that no person is in twice.

Two formats of files: LFW's own (a line of folds and pairs a fold, then `NAME i j` or `NAME i OTHER j`), and CSV with
the columns `path1`, `path2`, `same` (1 or 0) and, if wanted, `fold`.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.evaluate.sample import Sample

FOLDS = 10
MOST_IMPOSTORS = 2_000_000
Places = NDArray[np.intp]
_TRUE, _FALSE = {"1", "true", "yes"}, {"0", "false", "no"}


@dataclass(frozen=True, slots=True, eq=False)
class PairSet:
    """Verification pairs; all arrays are `(p,)`.

    Attributes:
        first, second: places in the sample; −1 for a photo that is not there, which counts as one without a face.
        genuine: whether they show one person.
        fold: 0 … k−1, −1 for pairs that are in no fold (they count for everything but the accuracy).
        weight: how much each counts.
        balanced: whether genuine and impostor pairs count as halves of the accuracy.
        protocol: in words, where they come from.
        left_out: pairs of the file that are not about this sample.
    """

    first: Places
    second: Places
    genuine: NDArray[np.bool_]
    fold: Places
    weight: NDArray[np.float64]
    balanced: bool
    protocol: str
    left_out: int = 0


def all_pairs(sample: Sample, *, seed: int = 0, most_impostors: int = MOST_IMPOSTORS) -> PairSet:
    """All genuine pairs of a sample, each person counting alike, and all impostor pairs or a seeded sample of them."""
    people = sample.codes
    first, second, weight = _genuine_pairs(people)
    total = len(people) * (len(people) - 1) // 2 - len(first)
    if total <= most_impostors:
        one, two = (places.astype(np.intp) for places in np.triu_indices(len(people), 1))
        other = people[one] != people[two]
        one, two, words = one[other], two[other], "all impostor pairs"
    else:
        one, two = _sample_impostors(people, most_impostors, seed)
        words = f"{most_impostors:,} of {total:,} impostor pairs, drawn with seed {seed}"
    a, b = np.concatenate([first, one]), np.concatenate([second, two])
    genuine = np.arange(len(a)) < len(first)
    home = fold_people(people, seed)
    return PairSet(
        a,
        b,
        genuine,
        np.where(home[people[a]] == home[people[b]], home[people[a]], -1),
        np.concatenate([weight, np.ones(len(one))]),
        balanced=True,
        protocol=f"all genuine pairs, each person counting alike; {words}",
    )


def fold_people(people: Places, seed: int, folds: int = FOLDS) -> Places:
    """The fold of each person `(k,)`: people with several photos are dealt out first, so that each fold has some.

    With fewer than two such people a fold there are fewer folds; all are −1 where not even two can be made.
    """
    photos = np.bincount(people)
    order = np.random.default_rng([seed, 1]).permutation(len(photos))
    order = order[np.argsort(photos[order] < 2, kind="stable")]
    count = min(folds, int((photos >= 2).sum()) // 2)
    home = np.full(len(photos), -1, np.intp)
    if count >= 2:
        home[order] = np.arange(len(order)) % count
    return home


def read_pairs(path: Path, rows: Sequence[Row], sample: Sample, outside: Sequence[Row], *, seed: int = 0) -> PairSet:
    """The pairs of a file among the rows of a sample.

    Pairs with a photo of the rows `outside` (another split) are left out. Pairs with a photo that is in neither stay:
    no face was found on it, which is an error of the system that is measured.

    Raises:
        DatasetError: the file is malformed, or none of its pairs is among the rows.
    """
    try:
        text = path.read_text("utf-8-sig")  # as spreadsheets write it
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"the pairs {str(path)!r} cannot be read: {error}") from None
    is_csv = "path1" in text.partition("\n")[0]
    named = _read_csv(text, path) if is_csv else _read_lfw(text, path)
    here, there = _places(rows), _places(outside)
    kept = [pair for pair in named if not (_at(pair[0], there, here) or _at(pair[1], there, here))]
    known = [pair for pair in kept if pair[0] in here or pair[1] in here]
    if not known:
        raise DatasetError(
            f"none of the {len(named):,} pairs of {str(path)!r} is among the photos that are evaluated",
            hint="paths are the data set's own, or those of the photos that its crops were cut from; "
            "--split all takes all of them",
        )
    first = np.array([here.get(pair[0], -1) for pair in kept], np.intp)
    second = np.array([here.get(pair[1], -1) for pair in kept], np.intp)
    genuine = np.array([pair[2] for pair in kept])
    fold, words = _folds([pair[3] for pair in kept], [pair[4] for pair in kept], sample, first, second, seed)
    kind = "pairs of a CSV file" if is_csv else "pairs of a file in LFW's format"
    return PairSet(
        first,
        second,
        genuine,
        fold,
        np.ones(len(first)),
        balanced=False,
        protocol=f"{len(kept):,} {kind}; {words}",
        left_out=len(named) - len(kept),
    )


_Named = tuple[str, str, bool, int | None, tuple[str, str] | None]
"""Both photos, whether one person, the fold if stated, and both people where the file says who they are."""


def _read_csv(text: str, path: Path) -> list[_Named]:
    reader = csv.DictReader(text.splitlines())
    try:
        return _csv_pairs(reader, path)
    except (csv.Error, ValueError) as error:
        raise DatasetError(f"the pairs {str(path)!r}, line {reader.line_num}: {error}") from None


def _csv_pairs(reader: csv.DictReader[str], path: Path) -> list[_Named]:
    missing = {"path1", "path2", "same"} - set(reader.fieldnames or ())
    if missing:
        raise DatasetError(f"the pairs {str(path)!r} have no column {', '.join(sorted(missing))}")
    found: list[_Named] = []
    for row in reader:
        word = (row["same"] or "").strip().lower()
        fold = (row.get("fold") or "").strip()
        if word not in _TRUE | _FALSE or not row["path1"] or not row["path2"] or not (fold or "0").isdigit():
            raise DatasetError(
                f"{str(path)!r}, line {reader.line_num}: expected two paths, same as 1 or 0, and a fold number or none"
            )
        found.append((row["path1"], row["path2"], word in _TRUE, int(fold) if fold else None, None))
    return found


def _read_lfw(text: str, path: Path) -> list[_Named]:
    lines = [line.split() for line in text.splitlines() if line.split()]
    try:
        folds, each = (int(word) for word in lines[0]) if len(lines[0]) == 2 else (1, int(lines[0][0]))
        found = [_lfw_pair(words, place // (2 * each)) for place, words in enumerate(lines[1:])]
    except (ValueError, IndexError, ZeroDivisionError):
        raise DatasetError(
            f"the pairs {str(path)!r} are neither a CSV with the columns path1, path2, same nor in LFW's format"
        ) from None
    if len(found) != 2 * folds * each:
        raise DatasetError(f"{str(path)!r} states {2 * folds * each} pairs and lists {len(found)}")
    return found


def _lfw_pair(words: list[str], fold: int) -> _Named:
    if len(words) == 3:
        words = [words[0], words[1], words[0], words[2]]
    name, one, other, two = words
    return f"{name}_{int(one):04d}", f"{other}_{int(two):04d}", name == other, fold, (name, other)


def _places(rows: Sequence[Row]) -> Mapping[str, int]:
    """Row's place by its path, its photo's path, and the photo's bare name (which LFW's file uses).

    Of several faces of one photo the first that has a name is taken.
    """
    found: dict[str, int] = {}
    for place, row in enumerate(rows):
        for name in (row.path, row.photo, Path(row.photo or row.path).stem):
            if name and row.identity:
                found.setdefault(name, place)
    return found


def _at(name: str, there: Mapping[str, int], here: Mapping[str, int]) -> bool:
    return name in there and name not in here


def _folds(
    stated: list[int | None],
    named: list[tuple[str, str] | None],
    sample: Sample,
    first: Places,
    second: Places,
    seed: int,
) -> tuple[Places, str]:
    """The file's folds, or else folds by person: people whom pairs join, directly or not, are in one fold."""
    if all(fold is not None for fold in stated):
        _, fold = np.unique(np.array(stated), return_inverse=True)
        return fold.astype(np.intp), f"{fold.max() + 1} folds of the file"
    joined = _components(sample.codes, len(sample.names), first, second)
    sizes = np.bincount(joined[joined >= 0])
    if len(sizes) >= FOLDS and sizes.max() <= 2 * len(first) / FOLDS:
        home = np.zeros(len(sizes), np.intp)
        filled = np.zeros(FOLDS)
        for component in np.argsort(-sizes, kind="stable"):
            home[component] = int(np.argmin(filled))
            filled[home[component]] += sizes[component]
        return np.where(joined >= 0, home[joined], -1), f"{FOLDS} folds by person"
    fold = np.random.default_rng([seed, 2]).permutation(len(first)) % min(FOLDS, max(len(first) // 2, 1))
    return fold.astype(np.intp), f"{fold.max() + 1} folds by pair, as the pairs join all people"


def _components(people: Places, count: int, first: Places, second: Places) -> Places:
    """For each pair the group of people that pairs join; −1 where neither photo is there."""
    parent = list(range(count))

    def root(person: int) -> int:
        while parent[person] != person:
            parent[person] = parent[parent[person]]
            person = parent[person]
        return person

    for one, two in zip(first.tolist(), second.tolist(), strict=True):
        if one >= 0 and two >= 0:
            parent[root(int(people[one]))] = root(int(people[two]))
    known = np.where(first >= 0, first, second)
    roots = np.array([root(int(people[place])) if place >= 0 else -1 for place in known], np.intp)
    _, dense = np.unique(roots[roots >= 0], return_inverse=True)
    roots[roots >= 0] = dense
    return roots


def _genuine_pairs(people: Places) -> tuple[Places, Places, NDArray[np.float64]]:
    order = np.argsort(people, kind="stable")
    firsts, seconds, weights = [], [], []
    for group in np.split(order, np.nonzero(np.diff(people[order]))[0] + 1):
        one, two = np.triu_indices(len(group), 1)
        firsts.append(group[one])
        seconds.append(group[two])
        weights.append(np.full(len(one), 1 / max(len(one), 1)))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(weights)


def _sample_impostors(people: Places, count: int, seed: int) -> tuple[Places, Places]:
    """`count` different pairs of different people, each equally likely."""
    rng = np.random.default_rng([seed, 3])
    photos = len(people)
    codes = np.empty(0, np.int64)
    while len(codes) < count:
        one, two = rng.integers(0, photos, (2, count + count // 4))
        low, high = np.minimum(one, two), np.maximum(one, two)
        codes = np.unique(np.concatenate([codes, (low * photos + high)[people[low] != people[high]]]))
    codes = rng.permutation(codes)[:count]
    return (codes // photos).astype(np.intp), (codes % photos).astype(np.intp)
