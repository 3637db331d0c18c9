"""Archives of NumPy arrays, read without trusting them: no pickles, a bound on bytes, one error for damage."""

from __future__ import annotations

import errno
import io
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 2 << 30
"""Of all arrays together, unpacked: a small file can state any number."""

_DAMAGES = (
    ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, EOFError, RuntimeError, SyntaxError,
    MemoryError, struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip
"""What NumPy and the modules below it raise at archives that are damaged, packed oddly, or locked."""


class ArraysDamaged(ValueError):
    """It is no archive of arrays, is damaged, holds objects, or states more than is taken."""


def read_arrays(source: Path | bytes, *, most_bytes: int = MOST_BYTES) -> dict[str, NDArray[Any]]:
    """The arrays of an archive that `numpy.savez` or `savez_compressed` wrote, by name.

    Raises:
        ArraysDamaged: see there. OSError: the file cannot be read.
    """
    if isinstance(source, bytes):
        return _read(io.BytesIO(source), most_bytes)
    with source.open("rb") as file:
        return _read(file, most_bytes)


def _read(file: IO[bytes], most_bytes: int) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            stated = sum(entry.file_size for entry in archive.infolist())
        if stated > most_bytes:
            raise ArraysDamaged(f"it states {stated:,} bytes; at most {most_bytes:,} are taken")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in arrays.files}
    except ArraysDamaged:
        raise
    except _DAMAGES as error:
        raise ArraysDamaged(str(error) or type(error).__name__) from error
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # a place before the file's start is the archive's fault
            raise
        raise ArraysDamaged(str(error)) from error
    strange = next((name for name, array in found.items() if not isinstance(array, np.ndarray)), None)
    if strange is not None:
        raise ArraysDamaged(f"{strange[:40]!r} in it is no array")
    return found
