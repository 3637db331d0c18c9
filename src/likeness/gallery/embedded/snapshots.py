"""Snapshots: whole copies, made while others write, remembered so that erasing reaches them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from likeness.errors import GalleryBusy
from likeness.gallery.embedded.sealed import read_sealing
from likeness.gallery.embedded.storage import Store
from likeness.gallery.snapshots import mount_of, not_remembered, place_for, put
from likeness.gallery.stated import now
from likeness.sqlite import connect, create_private, mapped_errors, transaction


def make(store: Store, target: str | Path | None) -> Path:
    """See `Gallery.snapshot`. Without a target: beside the gallery, named after the time.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    path = place_for(target, store.path)
    with store.maintenance(), mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        with store.read() as connection:
            if read_sealing(connection).changing:
                raise GalleryBusy(
                    f"{store.path} was left half encrypted", hint="run `likeness gallery encrypt` again, which ends it"
                )
        put(path, write=partial(_copy, store), remember=partial(_remember, store), forget=partial(_forget, store))
    return path


def _remember(store: Store, paths: Sequence[Path]) -> None:
    with store.write() as connection:
        connection.executemany(
            "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?)",
            [(str(path), str(mount_of(path)), now()) for path in paths],
        )


def _forget(store: Store, paths: Sequence[Path]) -> None:
    with store.write() as connection:
        connection.executemany("DELETE FROM snapshots WHERE path = ?", [(str(path),) for path in paths])


def drop(store: Store, path: str) -> None:
    """See `Gallery.drop_snapshot`. Called with the maintenance lock held.

    Raises:
        NotFound: none is remembered there.
    """
    with store.write() as connection:
        if not connection.execute("DELETE FROM snapshots WHERE path = ?", (path,)).rowcount:
            raise not_remembered(path)
        connection.execute("DELETE FROM pending WHERE place = ?", (path,))


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
