"""Snapshots: whole copies, made while others write, remembered so that erasing reaches them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from likeness.errors import Conflict, GalleryBusy, NotFound
from likeness.gallery.embedded.sealed import read_sealing
from likeness.gallery.embedded.storage import Store
from likeness.gallery.stated import now
from likeness.sqlite import connect, create_private, mapped_errors, sync_file, transaction

UNFINISHED = ".unfinished-snapshot"
"""Ends the name of a copy that is being made."""


def make(store: Store, target: str | Path | None) -> Path:
    """See `Gallery.snapshot`. Without a target: beside the gallery, named after the time.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    path = Path(os.path.abspath(target if target is not None else _beside(store.path)))  # noqa: PTH100 - keep links
    aside = Path(f"{path}{UNFINISHED}")
    with store.maintenance(), mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        if path.exists():
            raise Conflict(f"there is a file at {path} already", hint="give another path for the snapshot")
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {str(path.parent)!r}", hint="make it first, or name another place")
        discard_unfinished(aside)
        with store.read() as connection:
            if read_sealing(connection).changing:
                raise GalleryBusy(
                    f"{store.path} was left half encrypted", hint="run `likeness gallery encrypt` again, which ends it"
                )
        # Remembered before it exists: should this process be killed, the file is still known.
        with store.write() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
                [(str(name), str(mount_of(path)), now()) for name in (aside, path)],
            )
        try:
            _copy(store, aside)
            sync_file(aside)
            aside.replace(path)
            sync_file(path)
        except BaseException:
            discard_unfinished(aside)
            raise
        finally:
            with store.write() as connection:
                connection.execute("DELETE FROM snapshots WHERE path = ?", (str(aside),))
                if not path.exists():
                    connection.execute("DELETE FROM snapshots WHERE path = ?", (str(path),))
    return path


def discard_unfinished(aside: Path) -> None:
    """Delete a copy that was not finished, with its journal."""
    with mapped_errors(aside):
        for ending in ("", "-journal"):
            Path(f"{aside}{ending}").unlink(missing_ok=True)


def _beside(gallery: Path) -> Path:
    return gallery.with_name(f"{gallery.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.snapshot")


def _copy(store: Store, target: Path) -> None:
    source = connect(store.path, readonly=store.readonly, busy_timeout_s=store.busy_timeout_s)
    try:
        create_private(target)
        source.execute("VACUUM INTO ?", (str(target),))
    finally:
        source.close()
    copy = connect(target)
    try:
        # The copy stands alone: it has no snapshots of its own, no work to finish, and no index beside it.
        with transaction(copy):
            copy.execute("DELETE FROM snapshots")
            copy.execute("DELETE FROM pending")
            copy.execute("DELETE FROM meta WHERE key = 'index'")
    finally:
        copy.close()


def mount_of(path: Path) -> Path:
    """The mount point of the file system that a path is, or would be, on."""
    for folder in path.parents:
        if folder.is_mount():
            return folder
    return Path(path.anchor)
