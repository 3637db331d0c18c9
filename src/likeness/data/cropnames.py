"""Names of crop files: those of people and photos, made safe for any file system, none given twice."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from pathlib import PurePosixPath

from likeness.data.journal import Cut
from likeness.data.manifest import Row

CROPS = "crops"
NOBODY = "_"
"""Folder of crops that show nobody known."""
_LONGEST = 80


class CropNames:
    """Gives each photo the path of its crop; `taken` are paths given before."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = {_folded(path) for path in taken}

    def path_of(self, photo: Row, before: Cut | None = None) -> str:
        """`crops/IDENTITY/NAME.jpg`; a photo whose name is taken gets a piece of its path's digest behind it."""
        if before is not None and before.row is not None:
            return before.row.path
        folder = safe_name(photo.identity) if photo.identity else NOBODY
        stem = safe_name(PurePosixPath(photo.path).stem)
        path = f"{CROPS}/{folder}/{stem}.jpg"
        length = 8
        while _folded(path) in self._taken:
            path = f"{CROPS}/{folder}/{stem}-{_digest(photo.path)[:length]}.jpg"
            length += 8
        self._taken.add(_folded(path))
        return path


def safe_name(name: str) -> str:
    """The name where it can name a file anywhere; else what of it can, with a piece of its digest behind."""
    safe = re.sub(r'[\x00-\x1f\x7f-\x9f\ud800-\udfff<>:"/\\|?*]', "_", name)[:_LONGEST].strip(" .")
    while len(safe.encode()) > 2 * _LONGEST:
        safe = safe[:-1]
    if safe == name and safe not in ("", NOBODY):
        return name
    return f"{safe or NOBODY}-{_digest(name)[:8]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _folded(path: str) -> str:
    """Two paths with one folded form are one file on some file systems."""
    return unicodedata.normalize("NFC", path).casefold()
