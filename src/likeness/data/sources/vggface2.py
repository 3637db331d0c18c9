"""VGGFace2: train and test folders of numbered people, lists of their photos, and a table of who they are."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import Row, Split
from likeness.data.photofiles import is_photo
from likeness.data.sources.base import Skipped, Source
from likeness.errors import DatasetError

_PERSON = re.compile(r"n\d{6}")
_PARTS: tuple[Split, ...] = ("train", "test")
_LIST_PLACES = ("", "data", "meta")
_GENDERS = {"f": "female", "m": "male"}


@dataclass(frozen=True)
class VggFace2(Source):
    """Cao et al. 2018, "VGGFace2: a dataset for recognising faces across pose and age". 3.3 million photos.

    People keep their number as identity (names are not unique); the name is the label `name`. Photos that a list of
    its part (`train_list.txt`, `test_list.txt`) does not name are skipped, and so are those listed that are not there.
    """

    name: ClassVar = "vggface2"
    title: ClassVar = "VGGFace2"
    licence: ClassVar = "research only; the publisher has withdrawn the photos"
    home: ClassVar = "University of Oxford, www.robots.ox.ac.uk/~vgg/data/vgg_face2"
    layout: ClassVar = (
        "train/n000002/0001_01.jpg and test/n000001/…, with train_list.txt, test_list.txt, identity_meta.csv"
    )
    has: ClassVar = ("identity", "name", "gender", "split")
    how_to_get: ClassVar = "the publisher no longer gives it out; use a copy that you are licensed for"

    def recognises(self, folder: Path) -> bool:
        """Whether train or test holds folders of numbered people."""
        return any(_people(part) for part in _parts(folder).values())

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo of the parts that are there, the training part first."""
        about = _about(folder)
        parts = _parts(folder)
        if not parts:
            raise DatasetError(f"{str(folder)!r} has neither train nor test", hint=f"expected {self.layout}")
        for split, part in parts.items():
            listed = _listed(folder, split)
            seen: set[str] = set()
            for person in _people(part):
                for photo in sorted(path.name for path in (part / person).iterdir() if is_photo(path.name)):
                    short = f"{person}/{photo}"
                    path = (part / short).relative_to(folder).as_posix()
                    if listed is not None and short not in listed:
                        yield Skipped(path, f"not in {split}_list.txt")
                        continue
                    seen.add(short)
                    labels = about.get(person, {})
                    yield Row(
                        path=path, identity=person, labels=labels, split=split, source=self.name, licence=self.licence
                    )
            for short in sorted((listed or set()) - seen):
                path = (part / short).relative_to(folder).as_posix()
                yield Skipped(path, f"in {split}_list.txt, but not there")


def _parts(folder: Path) -> dict[Split, Path]:
    """The folders of the parts: as in the archives (`vggface2_train/train`), or directly below."""
    found: dict[Split, Path] = {}
    for split in _PARTS:
        for place in (folder / split, folder / "data" / split, folder / f"vggface2_{split}" / split):
            if place.is_dir() and split not in found:
                found[split] = place
    return found


def _people(part: Path) -> list[str]:
    return sorted(path.name for path in part.iterdir() if path.is_dir() and _PERSON.fullmatch(path.name))


def _listed(folder: Path, split: Split) -> set[str] | None:
    """`n000002/0001_01.jpg` of each line of a part's list; None where there is no list."""
    for place in _LIST_PLACES:
        path = folder / place / f"{split}_list.txt"
        if path.is_file():
            lines = {line.strip().replace("\\", "/") for line in path.read_text("utf-8").splitlines()} - {""}
            wrong = sorted(line for line in lines if not re.fullmatch(r"n\d{6}/[\w.-]+", line))
            if wrong:
                raise DatasetError(f"{path} has the line {wrong[0]!r}", hint="expected n000002/0001_01.jpg")
            return lines
    return None


def _about(folder: Path) -> dict[str, dict[str, str | float]]:
    """Name and gender of each person: `n000001, "14th_Dalai_Lama", 424, 0, m`."""
    for place in _LIST_PLACES:
        path = folder / place / "identity_meta.csv"
        if path.is_file():
            break
    else:
        return {}
    found: dict[str, dict[str, str | float]] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for cells in csv.reader(file, skipinitialspace=True):
            if not cells or not _PERSON.fullmatch(cells[0].strip()):
                continue  # the heading
            if len(cells) < 5:
                raise DatasetError(
                    f"{path} has a line of {len(cells)} cells for {cells[0]}",
                    hint="expected Class_ID, Name, Sample_Num, Flag, Gender",
                )
            labels: dict[str, str | float] = {"name": cells[1].strip().replace("_", " ")}
            if gender := _GENDERS.get(cells[-1].strip().lower()):
                labels["gender"] = gender
            found[cells[0].strip()] = labels
    return found
