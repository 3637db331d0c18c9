"""Snapshots of a gallery on PostgreSQL: one state of it, copied into the file of an embedded gallery.

Such a file opens anywhere without a server, and erasing reaches it as it reaches an embedded gallery's.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from platformdirs import user_data_path
from sqlalchemy import Connection, text

from likeness.errors import Conflict, NotFound
from likeness.gallery.copies import write_copy
from likeness.gallery.embedded.snapshots import UNFINISHED, discard_unfinished, mount_of
from likeness.gallery.keys import OwnerKey
from likeness.gallery.postgres import transfer
from likeness.gallery.postgres.erasure import this_host
from likeness.gallery.postgres.server import CONSISTENT, Server, State
from likeness.sqlite import mapped_errors, sync_file


def make(server: Server, gallery: int, target: str | Path | None, *, key: OwnerKey | None = None) -> Path:
    """See `Gallery.snapshot`. Without a target: in the folder of this user's data, named after gallery and time.

    With the owner's `key` the copy is encrypted.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    path = Path(os.path.abspath(target if target is not None else _place(server)))  # noqa: PTH100 - keep links
    aside = Path(f"{path}{UNFINISHED}")
    with server.maintenance(gallery), mapped_errors(path):  # nobody erases meanwhile: the copy would not know
        if path.exists():
            raise Conflict(f"there is a file at {path} already", hint="give another path for the snapshot")
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {str(path.parent)!r}", hint="make it first, or name another place")
        discard_unfinished(aside)
        # Remembered before it exists: should this process be killed, the file is still known.
        _remember(server, [aside, path])
        try:
            _copy(server, aside, key)
            sync_file(aside)
            aside.replace(path)
            sync_file(path)
        except BaseException:
            discard_unfinished(aside)
            raise
        finally:
            _forget(server, [aside] if path.exists() else [aside, path])
    return path


def _place(server: Server) -> Path:
    folder = user_data_path("likeness")
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{server.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.snapshot"


def _remember(server: Server, paths: list[Path]) -> None:
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


def _forget(server: Server, paths: list[Path]) -> None:
    def work(connection: Connection, state: State) -> None:
        connection.execute(
            text("DELETE FROM gallery_snapshots WHERE gallery = :gallery AND path = ANY (:paths)"),
            {"gallery": state.id, "paths": [str(path) for path in paths]},
        )

    server.append(work)


def _copy(server: Server, target: Path, key: OwnerKey | None) -> None:
    with server.errors(), server.engine.connect() as plain:
        connection = plain.execution_options(**CONSISTENT)
        state = server.state(connection)
        write_copy(target, transfer.outline(connection, state), partial(transfer.export, connection, state), key=key)
