"""Looking for bytes in files, to show that they are not there; run as a process of its own.

Of a long value pieces are looked for, one for every 512 bytes: databases spread values over pages, so that only parts
of it lie together, and a part that was left behind shows too. A process must not open and close a database's file that
it uses itself: POSIX drops all its locks on it then. So the files are read by a child, which is told what to look for
through a pipe.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness.errors import StorageError

SHORTEST = 6
"""Shorter values are found anywhere by chance: of fewer bytes nothing is looked for."""

_WIDTH = 24
_STEP = 512
_TOGETHER = 256
_FEW = 8
_LEAST_KINDS = 8
_BLOCK = 4 * 2**20


@dataclass(frozen=True, slots=True)
class Scan:
    """What was looked at, and which of the pieces were found, by their place in the list of those looked for."""

    files: tuple[str, ...]
    bytes: int
    found: tuple[int, ...]


def pieces(value: bytes) -> Iterator[bytes]:
    """What to look for of a value: itself, or pieces of it; nothing of what is too short or too uniform to tell.

    The head of a JPEG file is left out: its tables are the same in many files.
    """
    start = 0
    if value[:3] == b"\xff\xd8\xff":
        start = max(0, value.find(b"\xff\xda"))
    body = value[start:]
    if SHORTEST <= len(body) <= _WIDTH:
        yield body
    elif len(body) > _WIDTH:
        last = len(body) - _WIDTH  # of what lies together anyway this is enough, and of paths what tells them apart
        for at in sorted({*range(0, last if len(body) > _TOGETHER else 0, _STEP), last}):
            piece = body[at : at + _WIDTH]
            if len(set(piece)) >= _LEAST_KINDS:
                yield piece


def scan(paths: Iterable[Path], wanted: Sequence[bytes]) -> Scan:
    """Look for pieces in all of the files that are there, in a process of its own.

    Raises:
        StorageError: a file could not be read.
    """
    asked = {"paths": [str(path) for path in paths], "wanted": [piece.hex() for piece in wanted]}
    ran = subprocess.run(
        [sys.executable, "-m", "likeness.gallery.scanning"], input=json.dumps(asked), capture_output=True, text=True
    )
    try:
        told = json.loads(ran.stdout)
    except ValueError:
        raise StorageError(f"the files could not be looked through: the child ended with {ran.returncode}") from None
    if "error" in told:
        raise StorageError(f"the files could not be looked through: {told['error']}")
    return Scan(tuple(told["files"]), told["bytes"], tuple(told["found"]))


def scan_here(paths: Sequence[Path], wanted: Sequence[bytes]) -> Scan:
    """The same in this process, which must not have any of the files open as a database."""
    search = _Search(wanted)
    files, size, found = [], 0, set[int]()
    for path in paths:
        if not path.is_file():
            continue
        files.append(str(path))
        with path.open("rb") as file:
            rest = b""
            while block := file.read(_BLOCK):
                size += len(block)
                found |= search.in_block(rest + block)
                rest = (rest + block)[-(search.longest - 1) :]
    return Scan(tuple(files), size, tuple(sorted(found)))


class _Search:
    """Many pieces at once: by their first two bytes, then by four, then whole."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        if any(len(piece) < SHORTEST for piece in wanted):
            raise ValueError(f"expected pieces of at least {SHORTEST} bytes")
        self._few = list(enumerate(wanted)) if len(wanted) <= _FEW else []
        self.longest = max((len(piece) for piece in wanted), default=SHORTEST)
        self._by_head: dict[int, list[tuple[int, bytes]]] = {}
        self._pairs: NDArray[np.bool_] = np.zeros(2**16, np.bool_)
        for number, piece in enumerate(wanted):
            self._by_head.setdefault(int.from_bytes(piece[:4], "little"), []).append((number, piece))
            self._pairs[int.from_bytes(piece[:2], "little")] = True
        self._heads = np.array(sorted(self._by_head), np.uint32)

    def in_block(self, block: bytes) -> set[int]:
        """Numbers of the pieces that are in the block."""
        if self._few:  # one after another is faster
            return {number for number, piece in self._few if piece in block}
        count = len(block) - 3
        if count < 1 or not len(self._heads):
            return set()
        pairs = np.ndarray((count,), "<u2", buffer=block, strides=(1,))  # at every byte, not every second
        heads = np.ndarray((count,), "<u4", buffer=block, strides=(1,))
        near = np.flatnonzero(self._pairs[pairs])
        near_heads = heads[near]
        rank = np.searchsorted(self._heads, near_heads)
        rank[rank == len(self._heads)] = 0
        places = near[self._heads[rank] == near_heads]
        found: set[int] = set()
        for at in places.tolist():
            for number, piece in self._by_head[int(heads[at])]:
                if number not in found and block.startswith(piece, at):
                    found.add(number)
        return found


def _main() -> None:
    asked = json.load(sys.stdin)
    try:
        done = scan_here([Path(path) for path in asked["paths"]], [bytes.fromhex(piece) for piece in asked["wanted"]])
        told: dict[str, object] = {"files": done.files, "bytes": done.bytes, "found": done.found}
    except OSError as error:
        told = {"error": f"{error.filename}: {error.strerror}"}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    _main()
