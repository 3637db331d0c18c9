"""What a reader does beside reading: files that it writes elsewhere, programs, connections, code, open files, memory.

Python tells its audit hooks of each such act, also of those in C; a hook cannot be taken off again, so there is one.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PROGRAMS = frozenset(["os.fork", "os.posix_spawn", "subprocess.Popen"])
_NEVER = frozenset(
    [
        "os.system",
        "os.exec",
        "os.spawn",
        "os.forkpty",
        "pty.spawn",
        "pickle.find_class",
        "socket.connect",
        "socket.bind",
        "socket.sendto",
        "ctypes.dlopen",
    ]
)
"""What reading never needs."""
_CHANGES = {
    "os.remove": 1,
    "os.rename": 2,
    "os.mkdir": 1,
    "os.rmdir": 1,
    "os.symlink": 2,
    "os.link": 2,
    "os.truncate": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.mknod": 1,
}
"""What changes files, and how many of its first arguments are paths."""
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Watch:
    """What was done that a reader may not do, while it was watched."""

    folder: Path
    programs: bool = False
    told: list[str] = field(default_factory=list)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _PROGRAMS and self.programs:
            return
        if event in _NEVER or event in _PROGRAMS:
            self.told.append(f"{event} {str(arguments)[:200]}")
        elif event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._expect_inside(event, path)
        elif event in _CHANGES:
            if isinstance(arguments[-1], int) and arguments[-1] >= 0 and event in ("os.remove", "os.rmdir"):
                return  # a name in a folder that was opened, as shutil.rmtree does it
            for path in arguments[: _CHANGES[event]]:
                self._expect_inside(event, path)

    def _expect_inside(self, event: str, path: Any) -> None:
        if isinstance(path, int):
            return  # a file that is open already
        text = os.fsdecode(path)
        if text != os.devnull and not os.path.realpath(text).startswith(f"{os.path.realpath(self.folder)}{os.sep}"):
            self.told.append(f"{event} {text!r}")


_now: list[Watch] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _now:
        watch = _now.pop()  # what is asked while looking is not looked at
        try:
            watch.hear(event, arguments)
        finally:
            _now.append(watch)


sys.addaudithook(_hook)


@contextmanager
def watched(folder: Path, *, programs: bool = False) -> Iterator[Watch]:
    """Watch what this process does; only below `folder` may files be written, and `programs` be started."""
    watch = Watch(folder, programs)
    _now.append(watch)
    try:
        yield watch
    finally:
        _now.remove(watch)


def open_files() -> int:
    """How many files this process holds open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def peak_memory_mib() -> float:
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
