"""A data set on disk: a folder with `dataset.json`, `manifest.csv` and the files that it lists."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from likeness.data.manifest import Row, Split, read_rows, write_rows
from likeness.errors import DatasetError, StorageError, StorageFull

FACTS = "dataset.json"
MANIFEST = "manifest.csv"


class CropFacts(BaseModel):
    """How the crops of a data set were made.

    `template_px` says where the five landmarks lie in a crop of `side_px`; `detector` is the bundle's name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    side_px: int = Field(gt=0, le=2048)
    template_px: tuple[tuple[float, float], ...] = Field(min_length=5, max_length=5)
    detector: str

    def template_for(self, side_px: int) -> tuple[tuple[float, float], ...]:
        """The template of the same crop in another size."""
        scale = side_px / self.side_px
        return tuple((round(x * scale, 3), round(y * scale, 3)) for x, y in self.template_px)


class Facts(BaseModel):
    """`dataset.json`: what the data set is.

    `steps` are the commands that made it what it is, oldest first, as plain words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    name: str = Field(min_length=1)
    source: str
    licence: str = ""
    crops: CropFacts | None = None
    steps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set that was read; changes make a new one (`with_rows`) and `write` puts it on disk.

    Attributes:
        folder: holds the files; the rows' paths are relative to it.
        facts: what it is. rows: the photos or crops.
    """

    folder: Path
    facts: Facts
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, folder: Path) -> Dataset:
        """Read a data set's folder; the files it lists are not opened.

        Raises:
            DatasetError: it is none, or malformed.
        """
        try:
            facts = Facts.model_validate_json((folder / FACTS).read_bytes())
            text = (folder / MANIFEST).read_bytes().decode("utf-8")  # the ends of lines as they are
        except FileNotFoundError as error:
            raise DatasetError(
                f"{str(folder)!r} is not a data set: it has no {Path(str(error.filename)).name}",
                hint="`likeness data crop` makes one of a folder of photos",
            ) from None
        except OSError as error:
            raise DatasetError(f"the data set {str(folder)!r} cannot be read: {error.strerror}") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise DatasetError(f"{folder / FACTS} or {MANIFEST} beside it is malformed: {error}") from None
        return cls(folder, facts, read_rows(text, where=str(folder / MANIFEST)))

    def write(self) -> None:
        """Write `dataset.json` and `manifest.csv`, each in one step.

        Raises:
            DatasetError: a path or name is no text. StorageError: it cannot be written; StorageFull: no space.
        """
        manifest = self.encoded_rows()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self.folder / MANIFEST, manifest)
            replace_file(self.folder / FACTS, (self.facts.model_dump_json(indent=2) + "\n").encode())
        except OSError as error:
            raise storage_error(error, self.folder) from error

    def encoded_rows(self) -> bytes:
        """`manifest.csv` as bytes.

        Raises:
            DatasetError: a path or name is no text, as a file's name may not be.
        """
        try:
            return write_rows(self.rows).encode()
        except UnicodeEncodeError as error:
            wrong = ascii(error.object[max(error.start - 40, 0) : error.end].split("\n")[-1])
            raise DatasetError(
                f"a path or name with bytes that are no UTF-8 cannot be kept: …{wrong}", hint="rename the file"
            ) from None

    def with_rows(self, rows: Iterable[Row], *, step: str) -> Dataset:
        """The same data set with other rows; `step` says in words what was done."""
        facts = self.facts.model_copy(update={"steps": (*self.facts.steps, step)})
        return Dataset(self.folder, facts, tuple(rows))

    def path(self, row: Row) -> Path:
        """Where a row's file is."""
        return self.folder / row.path

    def of_split(self, split: Split) -> tuple[Row, ...]:
        """The rows of one split.

        Raises:
            DatasetError: there are none.
        """
        found = tuple(row for row in self.rows if row.split == split)
        if not found:
            raise DatasetError(
                f"the data set {str(self.folder)!r} has no rows in the split {split!r}",
                hint=f"split it by person first: likeness data split {self.folder}",
            )
        return found

    @property
    def digest(self) -> str:
        """Hex digest of the rows, files' digests among them: says which data a model was trained on."""
        return hashlib.sha256(self.encoded_rows()).hexdigest()

    def summary(self) -> dict[str, Any]:
        """Counts for people: rows, identities, splits."""
        per_split = {split: sum(row.split == split for row in self.rows) for split in ("train", "validation", "test")}
        named = {row.identity for row in self.rows} - {""}
        return {"rows": len(self.rows), "identities": len(named), "splits": per_split}


def storage_error(error: OSError, place: Path) -> StorageError:
    """The error for a place that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space is left for {str(place)!r}", hint="free some space; the same command goes on")
    return StorageError(f"{str(place)!r} cannot be written: {error.strerror or type(error).__name__}")


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: whoever reads it meanwhile finds the old one or the new."""
    handle, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
