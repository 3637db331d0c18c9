"""A CSV file that lists photos, with whatever is known of them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import FoundFace, Row, row_from_cells, stays_inside
from likeness.data.sources.base import SPLIT_WORDS, Skipped, Source
from likeness.errors import DatasetError

_TAKEN = "a path that leaves the folder"


@dataclass(frozen=True)
class Table(Source):
    """A CSV with a heading: a path, the person's name, and any other columns, which become labels.

    The columns of a data set's `manifest.csv` are understood, boxes (`x1`, `y1`, `x2`, `y2` in pixels), landmarks and
    splits among them; `label:age_years` and `age_years` are the same label. Paths are relative to the CSV's folder,
    or to `photos`.

    Attributes:
        path_column: which column holds the path. identity_column: which holds the person's name.
        photos: folder of the photos; that of the CSV unless said.
        licence_of_photos: the terms, where no column `licence` says them.
    """

    name: ClassVar = "csv"
    title: ClassVar = "A CSV that lists photos"
    licence: ClassVar = "your own photos"
    layout: ClassVar = "a CSV with the columns path and identity; others are labels; x1, y1, x2, y2 a box"
    has: ClassVar = ("identity", "labels", "split", "boxes")
    how_to_get: ClassVar = "write one, or take the manifest.csv of a data set"
    general: ClassVar = True

    path_column: str = "path"
    identity_column: str = "identity"
    photos: Path | None = None
    licence_of_photos: str = ""

    def recognises(self, folder: Path) -> bool:
        """Whether it is a file whose name ends in .csv."""
        return folder.is_file() and folder.suffix.lower() == ".csv"

    def base(self, folder: Path) -> Path:
        """Where the rows' paths begin: the folder of the photos."""
        return self.photos if self.photos is not None else folder.parent

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each line; lines that are wrong are skipped by their number.

        Raises:
            DatasetError: it is no CSV with the columns that are needed.
        """
        base = self.base(folder)
        try:
            with folder.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file)
                self._check(folder, list(reader.fieldnames or []))
                for cells in reader:
                    yield self._entry(cells, f"{folder.name}, line {reader.line_num}", base)
        except (UnicodeDecodeError, csv.Error) as error:
            raise DatasetError(f"{str(folder)!r} is no CSV in UTF-8: {error}") from None
        except OSError as error:
            raise DatasetError(f"{str(folder)!r} cannot be read: {error.strerror}") from error

    def _check(self, folder: Path, columns: list[str]) -> None:
        if self.path_column not in columns:
            shown = ", ".join(columns[:10]) or "none"
            raise DatasetError(
                f"{str(folder)!r} has no column {self.path_column!r} (its columns: {shown})",
                hint="name the column that holds the paths with --set path_column=NAME",
            )
        if self.identity_column != "identity" and self.identity_column not in columns:
            raise DatasetError(f"{str(folder)!r} has no column {self.identity_column!r}")

    def _entry(self, cells: dict[str, str], line: str, base: Path) -> Row | Skipped:
        if None in cells or None in cells.values():
            return Skipped(line, "another number of cells than there are columns")
        cells = {column: cell for column, cell in cells.items() if column.strip()}
        named = {**cells, "path": cells[self.path_column], "identity": cells.get(self.identity_column, "")}
        for column in {self.path_column, self.identity_column} - {"path", "identity"}:
            del named[column]
        path = _relative(named["path"].strip(), base)
        if path is None:
            return Skipped(line, "no path" if not named["path"].strip() else _TAKEN)
        named |= {"path": path, "source": named.get("source") or self.name}
        named["split"] = SPLIT_WORDS.get(named.get("split", "").lower(), named.get("split", ""))
        named["licence"] = named.get("licence") or self.licence_of_photos
        try:
            row = row_from_cells(named)
        except KeyError as error:
            return Skipped(line, f"a box without the column {error}")
        except (ValueError, TypeError) as error:
            return Skipped(line, str(error))
        if not (base / path).is_file():
            return Skipped(path, "in the table, but not there")
        if row.face is not None and not _sound(row.face):
            return Skipped(line, "a box whose right or bottom is not beyond its left or top")
        return row


def _relative(text: str, base: Path) -> str | None:
    """A path relative to the folder of the photos; None where it is empty or leaves it."""
    if not text:
        return None
    path = Path(text)
    if path.is_absolute():
        try:
            path = path.relative_to(base.absolute())
        except ValueError:
            return None
    plain = path.as_posix()
    return plain if stays_inside(plain) and plain != "." else None


def _sound(face: FoundFace) -> bool:
    x1, y1, x2, y2 = face.box_xyxy_px
    return x2 > x1 and y2 > y1
