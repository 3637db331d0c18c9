"""Snapshots, whichever engine's: where they go, made aside and put in their place whole, and within whose reach."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from platformdirs import user_data_path

from likeness.errors import Conflict, LikenessError, NotFound, StorageError
from likeness.sqlite import mapped_errors, sync_file

UNFINISHED = ".unfinished-snapshot"
"""Ends the name of a copy that is being made."""


def this_host() -> str:
    """The name under which snapshots on this machine are remembered."""
    return socket.gethostname()


def own_folder() -> Path:
    """Where snapshots of galleries that are no file go unless a place is named: the folder of this user's data."""
    folder = user_data_path("likeness")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def place_for(target: str | Path | None, gallery: Path) -> Path:
    """Where a snapshot goes: to the target, or beside the gallery, named after it and the time.

    Raises:
        Conflict: there is a file at the target.
        NotFound: there is no folder for it.
    """
    beside = gallery.with_name(f"{gallery.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.snapshot")
    path = Path(os.path.abspath(beside if target is None else target))  # noqa: PTH100 - keep links
    if path.exists():
        raise Conflict(f"there is a file at {path} already", hint="give another path for the snapshot")
    if not path.parent.is_dir():
        raise NotFound(f"there is no folder {str(path.parent)!r}", hint="make it first, or name another place")
    return path


def put(
    path: Path,
    *,
    write: Callable[[Path], None],
    remember: Callable[[Sequence[Path]], None],
    forget: Callable[[Sequence[Path]], None],
) -> None:
    """Let `write` make a file aside, and put it in its place whole.

    Its places are remembered before it exists: should this process be killed, erasing still knows of the file.
    """
    aside = Path(f"{path}{UNFINISHED}")
    discard_unfinished(aside)
    remember([aside, path])
    try:
        write(aside)
        sync_file(aside)
        aside.replace(path)
        sync_file(path)
    except BaseException:
        discard_unfinished(aside)
        raise
    finally:
        forget([aside] if path.exists() else [aside, path])


def not_remembered(path: str) -> NotFound:
    """What is said of a snapshot that nobody knows."""
    return NotFound(f"no snapshot is remembered at {path}", hint="`likeness gallery snapshots` lists them")


def is_elsewhere(path: str, host: str) -> bool:
    """Whether a snapshot that was made on `host` (none if not known) is out of this machine's reach."""
    return host not in ("", this_host()) and not Path(path).exists()


def raise_all(failures: Sequence[LikenessError]) -> None:
    """Tell of all snapshots that could not be reached, if any, at once."""
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise StorageError("; ".join(error.message for error in failures), hint=failures[0].hint)


def discard_unfinished(aside: Path) -> None:
    """Delete a copy that was not finished, with its journal."""
    with mapped_errors(aside):
        for ending in ("", "-journal"):
            Path(f"{aside}{ending}").unlink(missing_ok=True)


def mount_of(path: Path) -> Path:
    """The mount point of the file system that a path is, or would be, on."""
    for folder in path.parents:
        if folder.is_mount():
            return folder
    return Path(path.anchor)
