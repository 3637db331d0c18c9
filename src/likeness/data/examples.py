"""Rows as examples of a Hugging Face data set, and back: every column, and the bytes of every photo."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from likeness.data.dataset import Dataset
from likeness.data.manifest import FoundFace, Row, Split, number_text, stays_inside
from likeness.errors import DatasetError

UNSPLIT = "unsplit"
"""Name of the split of those rows that are in none."""

PARTS: dict[str, Split] = {"train": "train", "validation": "validation", "test": "test", UNSPLIT: ""}

_TEXTS = ("path", "identity", "source", "licence", "photo", "sha256")
_FACE = ("box_xyxy_px", "landmarks_px", "score")
_OWN = ("image", "position", *_TEXTS, *_FACE)


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns the examples of a data set have.

    Attributes:
        texts: labels that have words in some row. numbers: labels that are numbers in all rows.
        faces: whether any row says where its face was.
    """

    texts: tuple[str, ...]
    numbers: tuple[str, ...]
    faces: bool

    @classmethod
    def of(cls, rows: Sequence[Row]) -> Columns:
        """The columns that hold all that the rows say.

        Raises:
            DatasetError: a label has the name of another column.
        """
        names = sorted({name for row in rows for name in row.labels})
        taken = [name for name in names if name in _OWN]
        if taken:
            raise DatasetError(
                f"the label {taken[0]!r} has the name of another column", hint="rename it in manifest.csv"
            )
        texts = {name for row in rows for name, value in row.labels.items() if isinstance(value, str)}
        return cls(
            tuple(name for name in names if name in texts),
            tuple(name for name in names if name not in texts),
            any(row.face is not None for row in rows),
        )

    def features(self) -> Any:
        """The columns as `datasets.Features`."""
        from datasets import Features, Image, List, Value

        columns: dict[str, Any] = {"image": Image(), "position": Value("int64")}
        columns |= {name: Value("string") for name in _TEXTS}
        columns |= {name: Value("string") for name in self.texts}
        columns |= {name: Value("float64") for name in self.numbers}
        if self.faces:
            columns["box_xyxy_px"] = List(Value("float64"))
            columns["landmarks_px"] = List(List(Value("float64")))
            columns["score"] = Value("float64")
        return Features(columns)


def examples(dataset: Dataset, part: str, columns: Columns) -> Iterator[dict[str, Any]]:
    """The examples of one part of a data set, with the bytes of the files as they are.

    Raises:
        DatasetError: a file is not there, or is not the one that the row was written for.
    """
    for position, row in enumerate(dataset.rows):
        if row.split != PARTS[part]:
            continue
        example: dict[str, Any] = {"image": {"bytes": _bytes(dataset, row), "path": PurePosixPath(row.path).name}}
        example |= {"position": position} | {name: getattr(row, name) for name in _TEXTS}
        for name in (*columns.texts, *columns.numbers):
            value = row.labels.get(name)
            example[name] = number_text(value) if name in columns.texts and isinstance(value, float) else value
        if columns.faces:
            face = row.face
            example["box_xyxy_px"] = list(face.box_xyxy_px) if face else None
            example["landmarks_px"] = [list(point) for point in face.landmarks_px] if face else None
            example["score"] = face.score if face else None
        yield example


def row_of(example: Mapping[str, Any], part: str) -> tuple[int, Row, bytes]:
    """The place, the row and the file's bytes that an example was made of.

    Raises:
        DatasetError: it was made by something else, or its path must not be written.
    """
    if "path" not in example or "position" not in example or part not in PARTS:
        raise DatasetError(
            "this is a Hugging Face data set that Likeness did not push",
            hint="`likeness data import` takes any with images: likeness data import SOURCE OUT --source huggingface",
        )
    path = str(example["path"])
    parts = path.split("/")
    if not stays_inside(path) or {"", "."} & set(parts) or "\\" in path or ":" in parts[0] or len(path) > 1000:
        raise DatasetError(f"the path {path!r} of the data set leads out of its folder, and is not written")
    image = example.get("image")
    data = image.get("bytes") if isinstance(image, dict) else None
    if not isinstance(data, bytes):
        raise DatasetError(f"the photo {path!r} of the data set has no bytes")
    try:
        texts = {name: str(example[name] or "") for name in _TEXTS}
        row = Row(**texts, labels=_labels(example), split=PARTS[part], face=_face(example))
        position = int(example["position"])
    except (KeyError, TypeError, ValueError) as error:
        raise DatasetError(f"the row of {path!r} in the data set is malformed: {error}") from None
    if row.sha256 and hashlib.sha256(data).hexdigest() != row.sha256:
        raise DatasetError(f"the photo {path!r} of the data set has other bytes than its digest says")
    return position, row, data


def _labels(example: Mapping[str, Any]) -> dict[str, str | float]:
    labels = {name: value for name, value in example.items() if name not in _OWN and value not in (None, "")}
    for name, value in labels.items():
        if not isinstance(value, str | float):
            raise ValueError(f"the label {name!r} is neither a text nor a number")
    return labels


def _bytes(dataset: Dataset, row: Row) -> bytes:
    try:
        data = dataset.path(row).read_bytes()
    except OSError as error:
        raise DatasetError(
            f"the data set lists {row.path!r}, which cannot be read: {error.strerror}",
            hint="take the row out of manifest.csv, or put the file back",
        ) from error
    if row.sha256 and hashlib.sha256(data).hexdigest() != row.sha256:
        raise DatasetError(
            f"{row.path!r} is another file than when the data set was made", hint="make the data set again"
        )
    return data


def _face(example: Mapping[str, Any]) -> FoundFace | None:
    box = example.get("box_xyxy_px")
    if box is None:
        return None
    if len(box) != 4:
        raise DatasetError(f"the box of {example['path']!r} has {len(box)} numbers, expected 4")
    points = tuple((float(x), float(y)) for x, y in example.get("landmarks_px") or ())
    x1, y1, x2, y2 = map(float, box)
    return FoundFace((x1, y1, x2, y2), points, float(example["score"]))
