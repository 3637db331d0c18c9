"""From a source's folder to a data set's: the photos beside a manifest that says all that the source knows."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

from likeness.data.dataset import FACTS, Dataset, Facts, storage_error
from likeness.data.sources.base import Listing, Told, nobody
from likeness.data.transfer import digest_of
from likeness.errors import Conflict, DatasetError


def import_photos(
    listing: Listing, out: Path, *, copy: bool = False, step: str = "", progress: Told = nobody
) -> Dataset:
    """Make a data set of a listing: its photos below `out`, with digests; a run that was stopped goes on.

    Photos are hard links where the disk allows, or copies, always with `copy`. Where `out` is the source's own folder
    nothing but the manifest is written.

    Raises:
        Conflict: `out` holds a data set, or another file where a photo belongs.
        DatasetError: a photo cannot be read. StorageError: one cannot be written; StorageFull: no space.
    """
    if (out / FACTS).exists():
        raise Conflict(f"{str(out)!r} is a data set already", hint="name a new folder")
    facts = Facts(
        name=out.resolve().name or "photos",
        source=listing.origin,
        licence=listing.licence,
        steps=(step,) if step else (),
    )
    Dataset(out, facts, listing.rows).encoded_rows()  # fails before the first photo is copied
    rows = []
    for done, row in enumerate(listing.rows, 1):
        origin = listing.folder / row.path
        digest = _put(origin, out / row.path, copy)
        if row.sha256 and row.sha256 != digest:
            raise DatasetError(f"{row.path!r} is not the file that the source's digest is of")
        rows.append(replace(row, sha256=digest))
        progress(done, len(listing.rows))
    dataset = Dataset(out, facts, tuple(rows))
    dataset.write()
    return dataset


def _put(origin: Path, target: Path, copy: bool) -> str:
    """Have a photo at its place; its digest."""
    try:
        digest = digest_of(origin)
    except OSError as error:
        raise DatasetError(f"the photo {str(origin)!r} cannot be read: {error.strerror}") from error
    try:
        if target.exists():
            if not target.samefile(origin) and digest_of(target) != digest:
                raise Conflict(f"{str(target)!r} is there already and is another file", hint="name a new folder")
            return digest
        target.parent.mkdir(parents=True, exist_ok=True)
        aside = target.with_name(f".{target.name}.part")
        aside.unlink(missing_ok=True)
        if copy or not _link(origin, aside):
            shutil.copyfile(origin, aside)
        aside.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error
    return digest


def _link(origin: Path, target: Path) -> bool:
    """Whether a hard link could be made: not from one disk to another, nor everywhere."""
    try:
        os.link(origin.resolve(), target)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            return False
        raise
    return True
