"""Whole copies of galleries on servers: files of embedded galleries, which open anywhere without the server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from likeness.gallery.embedded import open_embedded
from likeness.gallery.keys import OwnerKey
from likeness.gallery.transfer import FIRST, PARTS, Key, Outline, Part, Rows
from likeness.sqlite import create_private

_PAGE = 500


def write_copy(
    target: Path, outline: Outline, export: Callable[[Part, Key, int], Rows], *, key: OwnerKey | None = None
) -> None:
    """Write what `export` gives (a part, the key after which, how many rows) into a new file; encrypted with a `key`.

    All that it gives must be of one state of the gallery. The copy stands alone: it has no snapshots of its own.
    """
    create_private(target)
    with open_embedded(target, space=outline.space, dimension=outline.dimension, create=True, key=key) as copy:
        copy.begin_import(outline)
        for part in PARTS:
            after = FIRST[part]
            while part != "snapshots" and (rows := export(part, after, _PAGE)):
                copy.take_in(rows)
                after = rows.last()
        copy.end_import()
