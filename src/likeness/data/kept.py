"""What was computed of files, kept by their digests in one file that only grows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError, StorageError

FOLDER = "embeddings"
"""Folder of such files in a data set; it can be deleted at any time."""
BATCH = 16
Numbers = NDArray[Any]
Batch = list[tuple[bytes, Path]]
Done = tuple[Batch, Sequence[Numbers]]


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of records, each a sha256 and an array of one shape and type."""

    path: Path
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    def complete(
        self,
        wanted: dict[bytes, Path],
        compute: Callable[[list[Path]], Sequence[Numbers]],
        run: Callable[[Callable[[Batch], Done], Iterable[Batch]], Iterator[Done]],
        progress: Callable[[int, int], None],
    ) -> dict[bytes, Numbers]:
        """The arrays of all wanted files; those that are not kept are computed in batches by `run`, and kept.

        Raises:
            StorageError: the file cannot be read or written.
        """
        try:
            self.path.parent.mkdir(exist_ok=True)
            known = self._read()
            missing = [entry for entry in wanted.items() if entry[0] not in known]
            batches = [missing[start : start + BATCH] for start in range(0, len(missing), BATCH)]
            done = len(wanted) - len(missing)
            # Unbuffered: a batch is one write at the file's end, so that two runs at once do not mix their records.
            with self.path.open("ab", buffering=0) as file:
                for batch, arrays in run(lambda batch: (batch, compute([path for _, path in batch])), batches):
                    new = {
                        digest: np.ascontiguousarray(array, self.dtype)
                        for (digest, _), array in zip(batch, arrays, strict=True)
                    }
                    file.write(b"".join(digest + array.tobytes() for digest, array in new.items()))
                    known |= new
                    done += len(batch)
                    progress(done, len(wanted))
        except OSError as error:
            raise StorageError(f"{str(self.path)!r} cannot be kept: {error.strerror}") from error
        return known

    def _read(self) -> dict[bytes, Numbers]:
        """What the file holds; half a record that a killed run left is cut off."""
        if not self.path.exists():
            return {}
        record = np.dtype([("digest", "V32"), ("array", self.dtype, self.shape)])
        size = self.path.stat().st_size
        if size % record.itemsize:
            with self.path.open("r+b") as file:
                file.truncate(size - size % record.itemsize)
        records = np.fromfile(self.path, record)
        return {bytes(digest): array for digest, array in zip(records["digest"], records["array"], strict=True)}


def digests_of(dataset: Dataset) -> list[bytes]:
    """The sha256 of each row's file: the row's, or where it has none, taken now.

    Raises:
        DatasetError: a file cannot be read.
    """
    found = []
    for row in dataset.rows:
        try:
            found.append(
                bytes.fromhex(row.sha256) if row.sha256 else hashlib.sha256(dataset.path(row).read_bytes()).digest()
            )
        except OSError as error:
            raise DatasetError(f"the file {row.path!r} cannot be read: {error.strerror}") from error
        except ValueError:
            raise DatasetError(f"the sha256 of {row.path!r} is no digest: {row.sha256!r}") from None
    return found
