"""Which photos and videos are meant by the paths given, and whose name each of them carries.

A folder is walked; videos in it are known by their first bytes. To enrol, a photo's person is, in this order: the name
that was stated; the name of the first folder below the one given, on the way to the photo (albums within a person's
folder name nobody); the name in the file's own name, without its counter. A `profile.json` in a person's folder is no
photo: it comes with that person's photos, as their profile card.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from likeness.data.photofiles import photos_below
from likeness.errors import InputError, LikenessError, NameMissing, PhotoMissing
from likeness.gallery.identity import clean_name
from likeness.service.clips import ChosenClip
from likeness.vision.video import is_video

CARD = "profile.json"

# What cameras, phones and programs call photos: these say nothing about who is on them.
_NOT_NAMES = re.compile(
    r"(img|image|photo|picture|pic|foto|bild|scan|screenshot|dsc[nf]?|dcim|pxl|mvimg|p|gopr|frame|face|crop|untitled|"
    r"unnamed|download|portrait|selfie|whatsapp|signal|copy)",
    re.IGNORECASE,
)
_COUNTER = re.compile(r"(?:[\s._-]*\(\d+\)|[\s._-]*#?\d+|[\s._-]+(?:copy|edited|cropped))$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundPhoto:
    """A photo that was asked for: its path, the person's name where it carries one, or why it cannot be used.

    `card` is the path of the profile card that stands in the person's folder. A photo that came by itself, not as a
    file, has its bytes in `data`; `path` is then what its sender calls it, and nothing is read from there.
    A video whose frames were looked at already has what was chosen of them in `clip`.
    """

    path: str
    name: str | None = None
    error: LikenessError | None = None
    card: str | None = None
    data: bytes | None = field(default=None, repr=False)
    clip: ChosenClip | None = field(default=None, repr=False)


def find_photos(
    paths: Iterable[str | os.PathLike[str]], *, name: str | None = None, named: bool = False
) -> Iterator[FoundPhoto]:
    """The photos at the paths: files as they are, folders walked in order of their names.

    With `named` (or a `name` for all) each photo must say whose it is; one that does not comes with an error. So does
    a path that does not exist, and a folder without photos.

    Raises:
        InputError: a path is empty, or `name` cannot be anybody's.
    """
    texts = [os.fspath(path) for path in paths]
    if "" in texts:
        raise InputError("the path of a photo is empty", hint="`.` is the folder you are in")
    if name is not None:
        name = clean_name(name)
    given = [Path(path) for path in texts]
    named = named or name is not None
    for path in given:
        if path.is_dir():
            yield from _in_folder(path, name, named)
        elif path.name != CARD:
            card = path.with_name(CARD)
            yield _found(path, None, name, named, card if name is not None and card in given else None)
        elif not any(other.parent == path.parent and other != path for other in given):
            yield _found(path, None, name, named, None)


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


def _in_folder(path: Path, name: str | None, named: bool) -> Iterator[FoundPhoto]:
    persons: Path | None = None
    card: Path | None = None
    for found in photos_below(path, also=is_video):
        file = path / found
        first, *rest = found.split("/")
        whose = path / first if rest else path
        # A card is of the folder given, if the name was stated for it; else of the folder that states the name.
        home = path if name is not None else whose
        if home != persons:
            persons = home
            stated = name is not None or home != path
            card = home / CARD if stated and (home / CARD).is_file() else None
        yield _found(file, first if rest else None, name, named, card)
    if persons is None:
        yield FoundPhoto(str(path), error=PhotoMissing(f"there are no photos in the folder {str(path)!r}"))


def _found(path: Path, folder: str | None, name: str | None, named: bool, card: Path | None) -> FoundPhoto:
    if not named:
        return FoundPhoto(str(path))
    whose = name or (name_from_file(path.stem) if folder is None else name_from_folder(folder))
    if whose is not None:
        return FoundPhoto(str(path), whose, card=None if card is None else str(card))
    if folder is None and not path.exists():
        return FoundPhoto(str(path), error=PhotoMissing(f"there is no file {str(path)!r}"))
    error = NameMissing(
        f"{folder or path.name!r} does not say whom the photo shows",
        hint="give --name, or put each person's photos into a folder named after them",
    )
    return FoundPhoto(str(path), error=error)
