"""A folder for each person: the plainest data set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import Row
from likeness.data.photofiles import photos_below
from likeness.data.sources.base import SPLIT_WORDS, Skipped, Source, few_photos


@dataclass(frozen=True)
class PeopleFolders(Source):
    """Photos in folders named after people; deeper folders (albums) name nobody.

    Where all the folders are called train, val, validation or test, they are the splits and hold the people's.
    """

    name: ClassVar = "folder"
    title: ClassVar = "A folder for each person"
    licence: ClassVar = "your own photos"
    layout: ClassVar = "PERSON/*.jpg, or train/PERSON/*.jpg and test/PERSON/*.jpg"
    has: ClassVar = ("identity",)
    how_to_get: ClassVar = "your own photos, one folder for each person"
    general: ClassVar = True

    licence_of_photos: str = ""

    def recognises(self, folder: Path) -> bool:
        """Whether there is a photo in a folder below it."""
        return any("/" in path for path in few_photos(folder, 50))

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo; whose it is says the first folder on the way to it."""
        found = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
        splits = "train" in found and set(found) <= set(SPLIT_WORDS)
        for path in photos_below(folder):
            *above, _ = path.split("/")
            split = SPLIT_WORDS[above.pop(0)] if splits and above else ""
            if not above:
                yield Skipped(path, "in no person's folder")
                continue
            yield Row(path=path, identity=above[0], split=split, source=self.name, licence=self.licence_of_photos)
