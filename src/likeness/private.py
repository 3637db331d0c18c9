"""Files that are their owner's alone from their first byte on."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def make_private(path: Path) -> None:
    """Make an empty file that nobody else may read, where there is none yet.

    One that is there is not opened, not even to look: when a process closes a file, POSIX drops all locks that it holds
    on it, those of a database that it has open too. Another process would then take itself for the last user and remove
    the database's log, with what is in it.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
