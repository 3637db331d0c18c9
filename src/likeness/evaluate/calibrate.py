"""Fitting a calibration on photos of known people, and what it is worth on people it has not seen."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.bundle import Bundle
from likeness.calibration import PAIRS_BEHIND_A_RATE, Calibration, fit
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.sources import open_source
from likeness.data.splits import person_key
from likeness.errors import CalibrationError, DatasetError, RateUnsupported
from likeness.evaluate.cross_validation import cross_validate
from likeness.evaluate.dataset import EVERYTHING, Told, embed_dataset, rows_of
from likeness.evaluate.embeddings import embed_central_faces
from likeness.evaluate.probabilities import digest_people, hash_people
from likeness.evaluate.sample import choose_people
from likeness.recognizer import Recognizer
from likeness.types import Vector

MAX_FACES = 6000


def calibrate(space: str, vectors: Vector, people: NDArray[np.str_], data: str) -> Calibration:
    """Fit on all pairs among embeddings `(n, d)` of `people` `(n,)`; each person's genuine pairs count alike in sum.

    Raises:
        CalibrationError: too few pairs of either kind.
        ValueError: more than 6,000 faces (the number of pairs grows with the square): choose fewer.
    """
    if len(vectors) > MAX_FACES:
        raise ValueError(f"expected at most {MAX_FACES} faces, got {len(vectors)}")
    first, second = np.triu_indices(len(vectors), 1)
    scores = (vectors @ vectors.T)[first, second]
    same = people[first] == people[second]
    _, owner, pairs = np.unique(people[first][same], return_inverse=True, return_counts=True)
    return fit(
        space,
        scores[same],
        scores[~same],
        genuine_weights=1 / pairs[owner],
        people=len(np.unique(people)),
        data=data,
        notes={"faces": len(vectors), "people_with_genuine_pairs": len(pairs)},
    )


def calibrate_dataset(
    bundle: Bundle,
    dataset: Dataset,
    split: str = "validation",
    *,
    cache: Path,
    progress: Told = lambda done, total: None,
    rates: Sequence[float] = (),
    exclude: Collection[str] = (),
    own: bool = False,
    threads: int = 0,
    seed: int = 0,
) -> Calibration:
    """Fit on a split of a data set of crops, whose people must be apart from those of train and test.

    `exclude` names more people to leave out; `own` says that the model was never trained or tested on this data, so
    that any split (or `all`) will do. The notes of the calibration hold its cross-validation by person, and digests of
    its people (of own data one digest of them all only), by which an evaluation knows them again.

    Raises:
        CalibrationError: the split is not apart, the model was trained on it, or too few pairs are left.
        RateUnsupported: too few impostor pairs stand behind one of `rates`.
    """
    if not own:
        _expect_apart(dataset, split)
    elif split in ("train", EVERYTHING):
        _expect_unseen(bundle, dataset)
    rows = without_people(rows_of(dataset, split), exclude)
    people = np.array([person_key(row.identity) for row in rows])
    chosen = choose_people(people, MAX_FACES, seed)
    rows, people = [row for row, kept in zip(rows, chosen, strict=True) if kept], people[chosen]
    expect_rates(rates, people)
    embedded = embed_dataset(bundle, dataset, rows, cache, progress, threads=threads)
    words = f"{dataset.facts.name}, " + ("all rows" if split == EVERYTHING else f"split {split}")
    return _fit_people(
        _space(bundle), embedded.vectors[embedded.found], people[embedded.found], words, rates, own=own, seed=seed
    )


def calibrate_photos(
    recognizer: Recognizer,
    folder: Path,
    *,
    cache: Path,
    progress: Told = lambda done, total: None,
    rates: Sequence[float] = (),
    exclude: Collection[str] = (),
    seed: int = 0,
) -> Calibration:
    """Fit on a folder of one's own photos, a folder for each person; of each photo the face nearest to its middle.

    Raises:
        CalibrationError, RateUnsupported: as `calibrate_dataset`.
        DatasetError: it holds no photos in people's folders.
    """
    listing = open_source(folder)
    rows = without_people([row for row in listing.rows if row.identity], exclude)
    people = np.array([person_key(row.identity) for row in rows])
    chosen = choose_people(people, MAX_FACES, seed)
    photos, people = [listing.folder / row.path for row, kept in zip(rows, chosen, strict=True) if kept], people[chosen]
    expect_rates(rates, people)
    embedded = embed_central_faces(recognizer, photos, cache, progress=progress)
    words = "own photos, a folder for each person"
    return _fit_people(
        recognizer.space, embedded.vectors[embedded.found], people[embedded.found], words, rates, own=True, seed=seed
    )


def without_people(rows: Sequence[Row], exclude: Collection[str]) -> list[Row]:
    """The rows of people who are not to be left out, however their names are written.

    Raises:
        CalibrationError: nobody is left.
    """
    keys = {person_key(name) for name in exclude}
    left = [row for row in rows if person_key(row.identity) not in keys]
    if not left:
        raise CalibrationError("all people are to be left out: nobody is left to calibrate on")
    return left


def people_named(text: str) -> set[str]:
    """The people of `FOLDER:SPLIT`, or of `FOLDER`, to be left out."""
    folder, _, split = text.rpartition(":")
    if not folder or split not in ("train", "validation", "test", EVERYTHING):
        folder, split = text, EVERYTHING
    return {row.identity for row in rows_of(Dataset.read(Path(folder)), split)}


def expect_rates(rates: Sequence[float], people: NDArray[np.str_]) -> None:
    """Let false-match rates pass behind which 30 impostor pairs of these photos' people `(n,)` can stand.

    Raises:
        RateUnsupported: there are too few; the hint says how many photos and people would do.
    """
    _, counts = np.unique(people, return_counts=True)
    photos, pairs = len(people), math.comb(len(people), 2)
    impostors = pairs - sum(math.comb(int(count), 2) for count in counts)
    for rate in rates:
        needed = PAIRS_BEHIND_A_RATE / rate
        if impostors >= needed:
            continue
        # As many more photos as make the pairs needed, where the share of impostor pairs stays as it is.
        share = max(impostors / max(pairs, 1), 0.5)
        more = math.ceil(0.5 + math.sqrt(0.25 + 2 * needed / share))
        a_person = photos / max(len(counts), 1)
        hint = f"about {more:,} photos of {math.ceil(more / max(a_person, 1)):,} people would do"
        if more > MAX_FACES:
            hint = f"no calibration supports it: more than {MAX_FACES:,} photos are not compared with each other"
        raise RateUnsupported(
            f"a false-match rate of {rate:g} needs {needed:,.0f} impostor pairs; "
            f"{photos:,} photos of {len(counts):,} people give {impostors:,}",
            hint=hint,
        )


def _fit_people(
    space: str,
    vectors: Vector,
    people: NDArray[np.str_],
    words: str,
    rates: Sequence[float],
    *,
    own: bool,
    seed: int,
) -> Calibration:
    expect_rates(rates, people)
    names = sorted(set(people.tolist()))
    fitted = calibrate(space, vectors, people, f"{words}: {len(names):,} people, {len(vectors):,} photos")
    notes = fitted.notes | {"people_digest": digest_people(names), "seed": seed}
    if not own:  # Digests of public names protect nobody; those of one's own people would tell who they are.
        notes["people_hashes"] = hash_people(names)
    checked = cross_validate(lambda some, theirs: calibrate(space, some, theirs, ""), vectors, people, seed=seed)
    if checked is not None:
        notes["cross_validation"] = checked
    return replace(fitted, notes=notes)


def _expect_apart(dataset: Dataset, split: str) -> None:
    if split in ("train", "test", EVERYTHING):
        raise CalibrationError(
            f"people of the split {split!r} must not calibrate: probabilities would look better than they are",
            hint="take --split validation; --own says that the model never saw this data",
        )
    keys = {
        each: {person_key(row.identity) for row in dataset.rows if row.identity and row.split == each}
        for each in ("train", "test")
    }
    mine = {person_key(row.identity) for row in rows_of(dataset, split)}
    for each, others in keys.items():
        if mine & others:
            raise CalibrationError(
                f"{len(mine & others):,} of the {len(mine):,} people of the split {split!r} are also in {each}",
                hint=f"split by person (likeness data split), or leave them out: --exclude-people "
                f"{dataset.folder}:{each}",
            )


def _expect_unseen(bundle: Bundle, dataset: Dataset) -> None:
    learnt = bundle.manifest.origin.get("data")
    if isinstance(learnt, dict) and learnt.get("digest") == dataset.digest:
        raise CalibrationError(
            f"{bundle.manifest.name} was trained on this very data set: its people must not calibrate",
            hint="take --split validation, or photos of other people",
        )


def _space(bundle: Bundle) -> str:
    if bundle.manifest.embedding is None:
        raise DatasetError(f"{bundle.manifest.name} is no embedder")
    return bundle.manifest.embedding.space
