"""The tables of IMDB-WIKI, read by a process of its own: `python -m likeness.data.sources.matlab wiki.mat`.

scipy reads MATLAB's files by code that damage can make fall over, with the whole process: nothing that is to be kept
may be in the same one. What it has read goes to standard output, a line of JSON for each photo, or `{FAULT: words}`.
"""

from __future__ import annotations

import json
import math
import struct
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from likeness.errors import DatasetError

FAULT = "fault"
FIELDS = ("dob", "photo_taken", "full_path", "gender", "name", "face_score", "second_face_score")


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The table's lines as plain values.

    Raises:
        DatasetError: it cannot be read, or is malformed.
    """
    table = _read(path)
    columns = {field: table[field][0, 0].ravel() for field in FIELDS}
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise DatasetError(f"{path} is malformed: its columns have {sorted(lengths)} lines")
    names = _celebrities(table, columns["name"])
    for at in range(lengths.pop()):
        line: dict[str, Any] = {"full_path": _text(columns["full_path"][at]), "name": names[at]}
        for field in ("dob", "photo_taken", "gender", "face_score", "second_face_score"):
            line[field] = float(columns[field][at])
        yield line


def _read(path: Path) -> Any:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        table = loadmat(str(path))[path.stem]
        missing = [field for field in FIELDS if field not in (table.dtype.names or ())]
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror or error}") from error
    except (MatReadError, ValueError, TypeError, KeyError, NotImplementedError, struct.error, zlib.error) as error:
        raise DatasetError(f"{path} is no MATLAB table called {path.stem}: {error}") from None
    if missing:
        raise DatasetError(f"{path} lacks the columns {', '.join(missing)}")
    return table


def _celebrities(table: Any, names: Any) -> list[str]:
    """Who is on each photo: by number where the table numbers people (two may share a name), else by name."""
    plain = [_text(name) for name in names]
    known = table.dtype.names or ()
    if "celeb_id" not in known or "celeb_names" not in known:
        return plain
    listed = [_text(name) for name in table["celeb_names"][0, 0].ravel()]
    counts: dict[str, int] = {}
    for name in listed:
        counts[name] = counts.get(name, 0) + 1
    found = []
    for at, number in enumerate(table["celeb_id"][0, 0].ravel()):
        if not (math.isfinite(number) and 1 <= int(number) <= len(listed)):
            found.append(plain[at])
            continue
        name = listed[int(number) - 1]
        found.append(f"{name} ({int(number)})" if counts[name] > 1 else name)
    return found


def _text(cell: Any) -> str:
    """The text in a MATLAB cell; empty where it is empty."""
    return str(cell.ravel()[0]).strip() if getattr(cell, "size", 0) else ""


def main() -> None:
    """Read the table that the command line names."""
    try:
        for line in lines(Path(sys.argv[1])):
            print(json.dumps(line))
    except DatasetError as error:
        print(json.dumps({FAULT: error.message}))
    except Exception as error:  # whatever scipy made of damage
        print(json.dumps({FAULT: f"{sys.argv[1]} is malformed: {type(error).__name__}"}))


if __name__ == "__main__":
    main()
