"""Snapshots of a gallery on Elasticsearch: one state of it, copied into the file of an embedded gallery.

Such a file opens anywhere without a cluster, and erasing reaches it as it reaches an embedded gallery's. The state is
held by points in time, opened while nobody changes the gallery; then others write on while it is copied.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from likeness.errors import StorageError
from likeness.gallery.copies import write_copy
from likeness.gallery.elastic import audit, transfer
from likeness.gallery.elastic.changes import Changes
from likeness.gallery.elastic.leases import Held, Lease
from likeness.gallery.elastic.store import Overtaken, Store
from likeness.gallery.keys import OwnerKey
from likeness.gallery.snapshots import mount_of, not_remembered, own_folder, place_for, put, this_host
from likeness.gallery.stated import now
from likeness.gallery.transfer import Key, Part, Rows
from likeness.sqlite import mapped_errors

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
    path = place_for(target, own_folder() / store.address.prefix)
    with maintenance.hold() as held, mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        put(
            path,
            write=lambda aside: _copy_held(store, changes, held, aside, key),
            remember=lambda paths: remember(
                held, [(str(each), str(mount_of(each)), now(), this_host()) for each in paths]
            ),
            forget=lambda paths: _forget(held, {str(each) for each in paths}),
        )
    return path


def remember(held: Held, snapshots: list[tuple[str, str, str, str]]) -> None:
    """Remember where snapshots lie, so that erasing reaches them: path, mount, time and host."""
    new = {snapshot[0] for snapshot in snapshots}
    kept = [snapshot for snapshot in held.body["snapshots"] if snapshot[0] not in new]
    held.write(snapshots=[*kept, *(list(snapshot) for snapshot in snapshots)])


def drop(held: Held, path: str) -> None:
    """Forget a snapshot that is gone.

    Raises:
        NotFound: none is remembered there.
    """
    if path not in {snapshot[0] for snapshot in held.body["snapshots"]}:
        raise not_remembered(path)
    _forget(held, {path})


def _forget(held: Held, paths: set[str]) -> None:
    held.write(snapshots=[snapshot for snapshot in held.body["snapshots"] if snapshot[0] not in paths])


def _copy_held(store: Store, changes: Changes, held: Held, target: Path, key: OwnerKey | None) -> None:
    try:
        _copy(store, changes, held, target, key)
    except Overtaken as error:
        raise StorageError(
            f"the cluster does not hold (any more) what was being copied of {store.address.shown}",
            hint="make the snapshot again; `likeness gallery check` tells whether an index is missing",
        ) from error


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
            store.keep(people, faces, notes)
            return view.export(part, after, min(limit, _PAGE))

        write_copy(target, view.outline(unfinished=False), export, key=key)
