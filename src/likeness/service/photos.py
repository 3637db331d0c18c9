"""Which photos are meant by the paths given, and whose name each of them carries.

A folder is walked. To enrol, a photo's person is, in this order: the name that was stated; the name of the folder
that holds it, where that folder lies below the one given; the name in the file's own name, without its counter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from likeness.errors import LikenessError, NameMissing, PhotoMissing

PHOTO_ENDINGS = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".webp",
        ".heic",
        ".heif",
        ".hif",
        ".avif",
        ".tif",
        ".tiff",
        ".gif",
        ".bmp",
    )
)
"""Endings of the files taken from a folder; a file that is named itself is taken whatever it is called."""

# What cameras, phones and programs call photos: these say nothing about who is on them.
_NOT_NAMES = re.compile(
    r"(img|image|photo|picture|pic|foto|bild|scan|screenshot|dsc[nf]?|dcim|pxl|mvimg|p|gopr|frame|face|crop|untitled|"
    r"unnamed|download|portrait|selfie|whatsapp|signal|copy)",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"(?:[\s._-]*\(\d+\)|[\s._-]*#?\d+|[\s._-]+(?:copy|edited|cropped))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo that was asked for: its path, the person's name where it carries one, or why it cannot be used."""

    path: str
    name: str | None = None
    error: LikenessError | None = None


def find_photos(
    paths: Iterable[str | os.PathLike[str]], *, name: str | None = None, named: bool = False
) -> Iterator[FoundPhoto]:
    """The photos at the paths: files as they are, folders walked in order of their names.

    With `named` (or a `name` for all) each photo must say whose it is; one that does not comes with an error. So does
    a path that does not exist, and a folder without photos.
    """
    for given in paths:
        path = Path(given)
        if not path.is_dir():
            yield _found(path, None, name, named or name is not None)
            continue
        count = 0
        for file in _walk(path):
            count += 1
            folder = None if file.parent == path else file.parent.name
            yield _found(file, folder, name, named or name is not None)
        if not count:
            yield FoundPhoto(str(path), error=PhotoMissing(f"there are no photos in the folder {str(path)!r}"))


def name_from_folder(folder: str) -> str | None:
    """`Anna_Lee` → `Anna Lee`; None for a name without a letter, such as a year."""
    name = " ".join(folder.replace("_", " ").split())
    return name if any(letter.isalpha() for letter in name) else None


def name_from_file(stem: str) -> str | None:
    """`Anna_Lee_0001`, `Anna Lee (2)` → `Anna Lee`; None where nothing but a counter or a camera's word is left.

    Hyphens stay (`Jean-Pierre_Bemba`) except in names written small without any other divider (`anna-lee-3`).
    """
    rest, before = stem, None
    while rest != before:
        before, rest = rest, _COUNTER.sub("", rest)
    if "-" in rest and not re.search(r"[\s_]", rest) and rest == rest.lower():
        rest = rest.replace("-", " ")
    name = name_from_folder(rest.strip(" ._-"))
    if name is None or _NOT_NAMES.fullmatch(name.split()[0]):
        return None
    return name


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if not file.startswith(".") and Path(file).suffix.lower() in PHOTO_ENDINGS:
                yield Path(place) / file


def _found(path: Path, folder: str | None, name: str | None, named: bool) -> FoundPhoto:
    if not named:
        return FoundPhoto(str(path))
    whose = name or (name_from_file(path.stem) if folder is None else name_from_folder(folder))
    if whose is not None:
        return FoundPhoto(str(path), whose)
    if folder is None and not path.exists():
        return FoundPhoto(str(path), error=PhotoMissing(f"there is no file {str(path)!r}"))
    error = NameMissing(
        f"{folder or path.name!r} does not say whom the photo shows",
        hint="give --name, or put each person's photos into a folder named after them",
    )
    return FoundPhoto(str(path), error=error)
