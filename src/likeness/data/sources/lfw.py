"""Labeled Faces in the Wild: photos of people in the news, a folder for each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import Row, Split
from likeness.data.photofiles import photos_below
from likeness.data.sources.base import Download, Skipped, Source, few_photos

_NAME = re.compile(r"(?:.*/)?([^/]+)/\1_\d{4}\.jpg")
# The publisher's view 1: who is for developing, and in which part.
_VIEW_1: dict[str, Split] = {"peopleDevTrain.txt": "train", "peopleDevTest.txt": "test"}


@dataclass(frozen=True)
class Lfw(Source):
    """Huang et al. 2007, "Labeled Faces in the Wild". 13,233 photos of 5,749 people.

    People are in the splits of view 1 where its lists (`peopleDevTrain.txt`, `peopleDevTest.txt`) are in the folder;
    view 2 is ten folds of pairs, which `likeness evaluate lfw` reads.
    """

    name: ClassVar = "lfw"
    title: ClassVar = "Labeled Faces in the Wild"
    licence: ClassVar = "photos of the press, published for research; the publisher states no licence"
    home: ClassVar = "University of Massachusetts, vis-www.cs.umass.edu/lfw"
    layout: ClassVar = "PERSON/PERSON_0001.jpg"
    has: ClassVar = ("identity", "split")
    # The publisher's own files at the address and with the digests that scikit-learn verifies.
    downloads: ClassVar = (
        Download(
            url="https://ndownloader.figshare.com/files/5976018",
            file="lfw.tgz",
            sha256="055f7d9c632d7370e6fb4afc7468d40f970c34a80d4c6f50ffec63f5a8d536c0",
        ),
        Download(
            url="https://ndownloader.figshare.com/files/5976006",
            file="lfw_pairs.txt",
            sha256="ea42330c62c92989f9d7c03237ed5d591365e89b3e649747777b70e692dc1592",
            unpack=False,
        ),
    )

    def recognises(self, folder: Path) -> bool:
        """Whether all photos looked at carry the name of their folder and four digits: else it is anybody's folder."""
        looked_at = list(few_photos(folder))
        return bool(looked_at) and all(_NAME.fullmatch(path) for path in looked_at)

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo; the person is its folder."""
        splits: dict[str, Split] = {}
        for name, split in _VIEW_1.items():
            if (folder / name).is_file():
                lines = (folder / name).read_text("utf-8").splitlines()[1:]
                splits |= {line.split("\t")[0].strip(): split for line in lines if line.strip()}
        for path in photos_below(folder):
            found = _NAME.fullmatch(path)
            if found is None:
                yield Skipped(path, "its name is not that of its folder and four digits")
                continue
            split = splits.get(found[1], "")
            yield Row(path=path, identity=found[1], split=split, source=self.name, licence=self.licence)
