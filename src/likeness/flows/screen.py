"""What may come into the data set: photos that open, with a face that is good enough, of one person each.

Crops are the standard form: upright, sRGB, JPEG, of one size, the eyes at one place. What is set aside is written down
with its reason, and its file stays in the storage.
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from likeness.data.check import Report, check_dataset
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts, replace_file, storage_error
from likeness.data.duplicates import groups_of
from likeness.data.embeddings import load_crop
from likeness.data.journal import REFUSED
from likeness.data.kept import FOLDER as EMBEDDINGS
from likeness.data.manifest import Row
from likeness.data.mending import plan_mending
from likeness.data.splits import person_key
from likeness.errors import DatasetError
from likeness.flows.home import Seen
from likeness.flows.order import Facts as Told
from likeness.flows.pull import (
    ALIKE,
    PHOTOS,
    POOR,
    SAME_PHOTO,
    TAKEN,
    TWO_NAMES,
    UNLIKE,
    person_of,
    read_seen,
    write_seen,
)
from likeness.flows.work import Work, set_aside
from likeness.vision.decode import decode_photo
from likeness.vision.quality import QualityGate

CROPS, DATA, SCREENED = "crops", "data", "screened.jsonl"
_SIZE_ONLY_PX = 256
"""A photo is opened once more for its size alone: at this size, where its kind allows."""


def screen(work: Work) -> Told:
    """Crop, judge and compare the new photos; lay the accepted ones beside those that the data set has."""
    arrived = {each.sha256: each for each in read_seen(work) if each.outcome == TAKEN}
    aside = {each.path: each for each in read_seen(work) if each.outcome != TAKEN}
    crops = _cropped(work, list(arrived.values()), aside)
    gate = QualityGate()
    good = []
    for row in crops.rows:
        reasons = _poor(work, crops, row, gate)
        seen = arrived[row.photo]
        if reasons:
            aside[seen.path] = set_aside(seen, POOR, ", ".join(reasons))
        else:
            good.append(_renamed(row, seen))
    dataset = _beside(work, crops.folder, good)
    doubted = _doubted(work, dataset, {row.path for row in good})
    by_path = {each.path: each for each in arrived.values()}
    for row in good:
        if row.path in doubted:
            aside[row.photo] = set_aside(by_path[row.photo], *doubted[row.path])
            drop_file(dataset.path(row))
    accepted = [row for row in good if row.path not in doubted]
    kept = [row for row in dataset.rows if row.label("version") != work.record.data]
    replace(dataset, rows=(*kept, *accepted)).write()
    everything = [aside.get(each.path, each) for each in read_seen(work)]
    replace_file(work.folder / SCREENED, write_seen(everything))
    return {"accepted": len(accepted), "set_aside": counted(everything)}


def counted(photos: Iterable[Seen]) -> dict[str, int]:
    """How many were set aside, by the code of why."""
    found: dict[str, int] = {}
    for each in photos:
        if each.outcome != TAKEN:
            found[each.outcome] = found.get(each.outcome, 0) + 1
    return dict(sorted(found.items()))


def _cropped(work: Work, photos: Sequence[Seen], aside: dict[str, Seen]) -> Dataset:
    """The crops of the new photos; photos that give none are set aside."""
    rows = [Row(path=each.sha256, identity=person_of(each.path), licence=work.order.licence) for each in photos]
    cropper = open_cropper(work.cropping, say=work.tell.say)
    facts = Facts(name=work.order.name, source="storage", licence=work.order.licence, steps=("cropped",))
    out = work.folder / CROPS
    with work.tell.watch("cropping") as progress:
        done = crop_dataset(
            rows,
            work.folder / PHOTOS,
            cropper,
            out,
            facts=facts,
            workers=work.settings.threads,
            progress=progress,
        )
    by_digest = {each.sha256: each for each in photos}
    with (out / REFUSED).open(encoding="utf-8", newline="") as file:
        for refused in csv.DictReader(file):
            seen = by_digest[refused["path"]]
            aside[seen.path] = set_aside(seen, refused["code"], refused["reason"])
    return done.dataset


def _poor(work: Work, crops: Dataset, row: Row, gate: QualityGate) -> tuple[str, ...]:
    """Why a face is not good enough, in short words; none where it is."""
    assert row.face is not None
    assert crops.facts.crops is not None
    photo = decode_photo(work.folder / PHOTOS / row.photo, target_side_px=_SIZE_ONLY_PX)
    landmarks = np.array(row.face.landmarks_px, np.float32)
    crop = load_crop(crops.path(row), crops.facts.crops.side_px)
    return gate.judge(crop, landmarks, row.face.box_xyxy_px, row.face.score, photo.size_px).reasons


def _renamed(row: Row, seen: Seen) -> Row:
    """The row as the data set has it: with where the photo came from, and in which version."""
    path = f"crops/v{seen.version:04d}/{row.path.removeprefix('crops/')}"
    labels = {**row.labels, "version": float(seen.version), "photo_sha256": seen.sha256}
    return replace(row, path=path, photo=seen.path, source="storage", labels=labels)


def _beside(work: Work, crops: Path, new: Sequence[Row]) -> Dataset:
    """The data set of the work: the rows there are, and the new ones; files are linked, or copied."""
    state, target = work.home.state(), work.folder / DATA
    shutil.rmtree(target, ignore_errors=True)
    old = Dataset.read(work.home.data(state.data)) if state.data else None
    try:
        if old is not None:
            link_files(old.rows, old.folder, target)
            if (old.folder / EMBEDDINGS).is_dir():  # copied: they grow where they lie
                shutil.copytree(old.folder / EMBEDDINGS, target / EMBEDDINGS)
        prefix = f"crops/v{work.record.data:04d}/"
        for row in new:
            link_file(crops / f"crops/{row.path.removeprefix(prefix)}", target / row.path)
    except OSError as error:
        raise storage_error(error, target) from error
    facts = old.facts if old else Dataset.read(crops).facts.model_copy(update={"steps": ()})
    dataset = Dataset(target, facts, (*(old.rows if old else ()), *new))
    if old is not None and old.facts.crops != Dataset.read(crops).facts.crops:
        raise DatasetError(
            f"the crops of {str(old.folder)!r} were made otherwise than the new ones: with another detector, or for "
            "another model",
            hint="name the detector and the model that they were made with",
        )
    dataset.write()
    return dataset


def link_files(rows: Iterable[Row], source: Path, target: Path) -> None:
    """Have the rows' files below another folder too."""
    for row in rows:
        link_file(source / row.path, target / row.path)


def link_file(source: Path, target: Path) -> None:
    """Have a file at another place too: as a hard link where the disk allows. Files of data sets are never changed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # from one disk to another, or where there are no links
        shutil.copyfile(source, target)


def drop_file(path: Path) -> None:
    """Delete a crop, and the folder called after its person where it was the last one there."""
    try:
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise storage_error(error, path) from error


def _doubted(work: Work, dataset: Dataset, new: set[str]) -> dict[str, tuple[str, str]]:
    """Paths of new rows that should not come in, with code and reason: doubles, wrong labels, people there already."""
    report = check_dataset(dataset, work.base, watch=work.tell.watch, workers=work.settings.threads)
    accepted = {person_key(name) for name in work.order.accept}
    found = _doubles(report, new) | _alike(report, new, accepted)
    keys = {row.path: person_key(row.identity) for row in dataset.rows}
    for change in plan_mending(report):
        if change.path in new - found.keys() and keys[change.path] not in accepted:
            found[change.path] = UNLIKE, change.why
    return found


def _doubles(report: Report, new: set[str]) -> dict[str, tuple[str, str]]:
    """New rows that show a photo which is there already, or is there twice among the new ones."""
    found = {}
    for group in groups_of(report.duplicates):
        mine = [row for row in group if row.path in new]
        before = [row for row in group if row.path not in new]
        for row in mine:
            others = before or [each for each in mine if each is not row]
            differ = [each for each in others if person_key(each.identity) != person_key(row.identity)]
            if differ:  # nothing says which name is right
                found[row.path] = TWO_NAMES, f"the same photo as {differ[0].photo}, which has another name"
            elif before or row is not mine[0]:
                found[row.path] = SAME_PHOTO, f"the same photo as {(before or mine)[0].photo}"
    return found


def _alike(report: Report, new: set[str], accepted: set[str]) -> dict[str, tuple[str, str]]:
    """New rows of people who look like somebody else of the data set, more than any two strangers do."""
    assert report.coherence is not None
    rows = report.checked.rows
    before = {person_key(row.identity) for row in rows if row.path not in new}
    found: dict[str, tuple[str, str]] = {}
    for pair in report.coherence.alike:
        keys = [person_key(name) for name in (pair.first, pair.second)]
        if accepted.intersection(keys):
            continue
        # Of one who was there and one who came the new name is doubted; of two who came both are.
        doubted = [key for key in keys if key not in before] or keys
        for row in rows:
            if row.path in new and person_key(row.identity) in doubted:
                other = pair.second if person_key(row.identity) == keys[0] else pair.first
                found[row.path] = ALIKE, f"may be {other} under another name (similarity {pair.similarity:.3f})"
    return found
