"""The rows of a data set, one for each photo or crop, and the CSV file that holds them."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from likeness.errors import DatasetError

Split = Literal["train", "validation", "test", ""]
SPLITS: tuple[Split, ...] = get_args(Split)[:-1]

_LANDMARKS = ("left_eye", "right_eye", "nose", "left_mouth", "right_mouth")
_BOX = ("x1", "y1", "x2", "y2")
_POINTS = tuple(f"{name}_{axis}" for name in _LANDMARKS for axis in "xy")
_FIXED = ("path", "identity", "split", "source", "licence", "photo", "sha256", *_BOX, *_POINTS, "score")
_LABEL = "label:"
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(e[+-]?\d+)?", re.IGNORECASE)
_MOST_DIGITS = 15  # as many as a float holds, whichever they are


@dataclass(frozen=True, slots=True)
class FoundFace:
    """Where a face is in its photo, as the detector said.

    Attributes:
        box_xyxy_px: left, top, right, bottom in pixels of the upright photo.
        landmarks_px: five points: the eyes (left in the picture first), the nose, the corners of the mouth; or none.
        score: the detector's, 0 to 1.
    """

    box_xyxy_px: tuple[float, float, float, float]
    landmarks_px: tuple[tuple[float, float], ...] = ()
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One photo or crop.

    Attributes:
        path: relative to the data set's folder, with forward slashes.
        identity: who it shows; empty where that is not known.
        labels: what else is known, as `age_years` (number), `gender` (`female`, `male`), `group`.
        source: name of the source it came from. licence: the terms of the photo.
        split: `train`, `validation`, `test`, or empty where it is in none.
        photo: of a crop, the path of the photo that it was cut from.
        sha256: hex digest of the file; empty where it was not taken.
        face: of a crop, where in the photo it was.
    """

    path: str
    identity: str = ""
    labels: Mapping[str, str | float] = field(default_factory=dict)
    source: str = ""
    licence: str = ""
    split: Split = ""
    photo: str = ""
    sha256: str = ""
    face: FoundFace | None = None

    def label(self, name: str) -> str | float | None:
        """A label's value, None where the row has none of that name."""
        return self.labels.get(name)


def write_rows(rows: Iterable[Row]) -> str:
    """The rows as CSV: the fixed columns, then one `label:NAME` for each label that any row has."""
    listed = list(rows)
    names = sorted({name for row in listed for name in row.labels})
    text = _Lines()
    writer = csv.writer(text, lineterminator="\r\n")  # the writer quotes what has either of them in it
    writer.writerow([*_FIXED, *(_LABEL + name for name in names)])
    for row in listed:
        writer.writerow([*_fixed_cells(row), *(_plain(row.labels.get(name)) for name in names)])
    return "".join(text.lines)


class _Lines:
    """Takes a CSV writer's lines, and ends each as files do here."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def write(self, line: str) -> None:
        self.lines.append(line.removesuffix("\r\n") + "\n")


def read_rows(text: str, *, where: str) -> tuple[Row, ...]:
    """The rows of a CSV that `write_rows` wrote; columns that are missing count as empty, others are refused.

    Raises:
        DatasetError: it is not such a CSV; the message says which line of `where` is wrong, and how.
    """
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        columns = reader.fieldnames or []
    except csv.Error as error:
        raise DatasetError(f"{where} is no CSV: {error}") from None
    unknown = [name for name in columns if name not in _FIXED and not name.startswith(_LABEL)]
    if "path" not in columns or unknown:
        wrong = f"has unknown columns: {', '.join(unknown[:5])}" if unknown else "has no column 'path'"
        raise DatasetError(f"{where} {wrong}", hint=f"expected: {', '.join(_FIXED)} and {_LABEL}NAME")
    rows = []
    try:
        for cells in reader:
            rows.append(_row(cells))
    except KeyError as error:
        raise DatasetError(f"{where}, line {reader.line_num}: a face without the column {error}") from None
    except (ValueError, TypeError, csv.Error) as error:
        raise DatasetError(f"{where}, line {reader.line_num}: {error}") from None
    return tuple(rows)


def row_from_cells(cells: Mapping[str, str]) -> Row:
    """The row of one line of any CSV: columns that are not a manifest's own are labels.

    Raises:
        ValueError, TypeError: a cell is malformed; the message says how.
    """
    return _row({name if name in _FIXED or name.startswith(_LABEL) else _LABEL + name: cells[name] for name in cells})


def stays_inside(path: str) -> bool:
    """Whether a path of a data set is below its folder: relative, with forward slashes and no `..`."""
    return bool(path) and "\0" not in path and not path.startswith("/") and ".." not in path.split("/")


def identities(rows: Sequence[Row]) -> list[str]:
    """Names of all identities of the rows, in order, without the empty one."""
    return sorted({row.identity for row in rows} - {""})


def _fixed_cells(row: Row) -> list[str]:
    cells = [row.path, row.identity, row.split, row.source, row.licence, row.photo, row.sha256]
    if row.face is None:
        return cells + [""] * (len(_BOX) + len(_POINTS) + 1)
    box = [f"{value:.2f}" for value in row.face.box_xyxy_px]
    points = [f"{value:.2f}" for point in row.face.landmarks_px for value in point] or [""] * len(_POINTS)
    return [*cells, *box, *points, f"{row.face.score:.4f}"]


def _row(cells: dict[str, Any]) -> Row:
    if None in cells or None in cells.values():
        raise ValueError("expected as many cells as there are columns")
    if not cells["path"]:
        raise ValueError("the path is empty")
    if not stays_inside(cells["path"]):
        raise ValueError(f"the path {cells['path']!r} leaves the folder")
    split = cells.get("split", "")
    if split not in ("", *SPLITS):
        raise ValueError(f"expected the split train, validation, test or none, got {split!r}")
    return Row(
        path=cells["path"],
        identity=cells.get("identity", ""),
        split=split,
        source=cells.get("source", ""),
        licence=cells.get("licence", ""),
        photo=cells.get("photo", ""),
        sha256=cells.get("sha256", ""),
        face=_face(cells),
        labels={
            name.removeprefix(_LABEL): _value(value)
            for name, value in cells.items()
            if name.startswith(_LABEL) and value
        },
    )


def _face(cells: dict[str, str]) -> FoundFace | None:
    if not cells.get("x1"):
        return None
    x1, y1, x2, y2 = (float(cells[name]) for name in _BOX)
    numbers = [float(cells[name]) for name in _POINTS] if cells.get(_POINTS[0]) else []
    points = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    if not all(map(math.isfinite, (x1, y1, x2, y2, *numbers))):
        raise ValueError("a box or landmark that is no finite number")
    return FoundFace((x1, y1, x2, y2), points, float(cells.get("score") or 1.0))


def _plain(value: str | float | None) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else number_text(value)


def number_text(number: float) -> str:
    """A number as the shortest text that gives it back: `36`, `0.5`."""
    return repr(float(number)).removesuffix(".0")


def _value(text: str) -> str | float:
    """A label's value: a number where the text is one and says no more than it, as `007` and twenty digits do."""
    if _NUMBER.fullmatch(text) is None:
        return text
    number = float(text)
    exact = "." in text or sum(map(str.isdigit, text)) <= _MOST_DIGITS or number_text(number) == text
    return number if exact and math.isfinite(number) else text
