"""Snapshots of a gallery on Elasticsearch: one state of it, copied into the file of an embedded gallery.

Such a file opens anywhere without a cluster, and erasing reaches it as it reaches an embedded gallery's. The state is
held by points in time, opened while nobody changes the gallery; then others write on while it is copied.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path

from likeness.errors import Conflict, NotFound
from likeness.gallery.copies import write_copy
from likeness.gallery.elastic import audit, transfer
from likeness.gallery.elastic.changes import Changes
from likeness.gallery.elastic.erasure import this_host
from likeness.gallery.elastic.leases import Held, Lease
from likeness.gallery.elastic.store import Store
from likeness.gallery.embedded.snapshots import UNFINISHED, discard_unfinished, mount_of
from likeness.gallery.keys import OwnerKey
from likeness.gallery.stated import now
from likeness.gallery.transfer import Key, Part, Rows
from likeness.sqlite import mapped_errors, sync_file

_PAGE = 250


def make(
    store: Store, changes: Changes, maintenance: Lease, target: str | Path | None, *, key: OwnerKey | None = None
) -> Path:
    """See `Gallery.snapshot`. Without a target: in the folder of this user's data, named after gallery and time.

    With the owner's `key` the copy is encrypted.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    path = Path(os.path.abspath(target if target is not None else _place(store)))  # noqa: PTH100 - keep links
    aside = Path(f"{path}{UNFINISHED}")
    with maintenance.hold() as held, mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        if path.exists():
            raise Conflict(f"there is a file at {path} already", hint="give another path for the snapshot")
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {str(path.parent)!r}", hint="make it first, or name another place")
        discard_unfinished(aside)
        # Remembered before it exists: should this process be killed, the file is still known.
        remember(held, [(str(each), str(mount_of(path)), now(), this_host()) for each in (aside, path)])
        try:
            _copy(store, changes, held, aside, key)
            sync_file(aside)
            aside.replace(path)
            sync_file(path)
        except BaseException:
            discard_unfinished(aside)
            raise
        finally:
            _forget(held, {str(aside)} if path.exists() else {str(aside), str(path)})
    return path


def _place(store: Store) -> Path:
    folder = user_data_path("likeness")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{store.address.prefix}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.snapshot"


def remember(held: Held, snapshots: list[tuple[str, str, str, str]]) -> None:
    """Remember where snapshots lie, so that erasing reaches them: path, mount, time and host."""
    new = {snapshot[0] for snapshot in snapshots}
    kept = [snapshot for snapshot in held.body["snapshots"] if snapshot[0] not in new]
    held.write(snapshots=[*kept, *(list(snapshot) for snapshot in snapshots)])


def _forget(held: Held, paths: set[str]) -> None:
    held.write(snapshots=[snapshot for snapshot in held.body["snapshots"] if snapshot[0] not in paths])


def _copy(store: Store, changes: Changes, held: Held, target: Path, key: OwnerKey | None) -> None:
    with ExitStack() as stack:
        with changes.begin() as change:
            head = change.head
            store.refresh(store.notes)
            people, faces, notes = (
                stack.enter_context(store.point_in_time(index)) for index in (store.people, head.index, store.notes)
            )
            view = transfer.View(store, head, people, faces, notes, audit.written(store))

        def export(part: Part, after: Key, limit: int) -> Rows:
            held.renew()
            return view.export(part, after, min(limit, _PAGE))

        write_copy(target, view.outline(unfinished=False), export, key=key)
