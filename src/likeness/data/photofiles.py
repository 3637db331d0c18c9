"""Which files of a folder are photos, by their names."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

PHOTO_ENDINGS = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .heic .heif .hif .avif .tif .tiff .gif .bmp".split()  # noqa: SIM905
)
"""Endings of the files taken from a folder; a file that is named itself is taken whatever it is called."""


def is_photo(name: str) -> bool:
    """Whether a file's name ends as a photo's does and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in PHOTO_ENDINGS


def photos_below(folder: Path, also: Callable[[Path], bool] = lambda path: False) -> Iterator[str]:
    """Paths of the photos below a folder, relative, with forward slashes, in order of their names; none hidden.

    Files whose names are not a photo's come too where `also` says so.
    """
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            if is_photo(file) or (not file.startswith(".") and also(Path(place) / file)):
                yield (Path(place) / file).relative_to(folder).as_posix()
