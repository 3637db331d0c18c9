"""Snapshots of a gallery on PostgreSQL: one state of it, copied into the file of an embedded gallery.

Such a file opens anywhere without a server, and erasing reaches it as it reaches an embedded gallery's.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, text

from likeness.gallery.copies import write_copy
from likeness.gallery.keys import OwnerKey
from likeness.gallery.postgres import transfer
from likeness.gallery.postgres.server import CONSISTENT, Server, State
from likeness.gallery.snapshots import mount_of, not_remembered, own_folder, place_for, put, this_host
from likeness.sqlite import mapped_errors


def make(server: Server, gallery: int, target: str | Path | None, *, key: OwnerKey | None = None) -> Path:
    """See `Gallery.snapshot`. Without a target: in the folder of this user's data, named after gallery and time.

    With the owner's `key` the copy is encrypted.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    path = place_for(target, own_folder() / server.name)
    with server.maintenance(gallery), mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        put(
            path,
            write=lambda aside: _copy(server, aside, key),
            remember=partial(_remember, server),
            forget=partial(_forget, server),
        )
    return path


def _remember(server: Server, paths: Sequence[Path]) -> None:
    def work(connection: Connection, state: State) -> None:
        connection.execute(
            text(
                "INSERT INTO gallery_snapshots (gallery, path, mount, host, created_at) "
                "VALUES (:gallery, :path, :mount, :host, :at) ON CONFLICT (gallery, path) "
                "DO UPDATE SET mount = excluded.mount, host = excluded.host, created_at = excluded.created_at"
            ),
            [
                {
                    "gallery": state.id,
                    "path": str(path),
                    "mount": str(mount_of(path)),
                    "host": this_host(),
                    "at": datetime.now(UTC),
                }
                for path in paths
            ],
        )

    server.append(work)


def _forget(server: Server, paths: Sequence[Path]) -> None:
    def work(connection: Connection, state: State) -> None:
        connection.execute(
            text("DELETE FROM gallery_snapshots WHERE gallery = :gallery AND path = ANY (:paths)"),
            {"gallery": state.id, "paths": [str(path) for path in paths]},
        )

    server.append(work)


def drop(connection: Connection, state: State, path: str) -> None:
    """See `Gallery.drop_snapshot`. Called with the maintenance lock held.

    Raises:
        NotFound: none is remembered there.
    """
    values = {"gallery": state.id, "path": path}
    known = connection.execute(
        text("DELETE FROM gallery_snapshots WHERE gallery = :gallery AND path = :path"), values
    ).rowcount
    if not known:
        raise not_remembered(path)
    connection.execute(text("DELETE FROM gallery_pending WHERE gallery = :gallery AND path = :path"), values)


def _copy(server: Server, target: Path, key: OwnerKey | None) -> None:
    with server.errors(), server.engine.connect() as plain:
        connection = plain.execution_options(**CONSISTENT)
        state = server.state(connection)
        write_copy(target, transfer.outline(connection, state), partial(transfer.export, connection, state), key=key)
