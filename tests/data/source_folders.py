"""Folders of the exact layouts of public data sets, made here, with tiny photos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def photo(shade: int = 128) -> bytes:
    """A small JPEG; another for each shade."""
    file = io.BytesIO()
    Image.new("RGB", (12, 10), (shade % 256, shade * 7 % 256, shade * 13 % 256)).save(file, "JPEG")
    return file.getvalue()


def put(folder: Path, *paths: str) -> Path:
    """Photos at the paths."""
    for shade, path in enumerate(paths):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(photo(shade))
    return folder


def matlab_day(year: int, month: int, day: int) -> int:
    """MATLAB's day number: `datenum(year, month, day)`."""
    from datetime import date

    return date(year, month, day).toordinal() + 366


def imdb_table(path: Path, lines: list[dict], *, celebrities: list[str] | None = None) -> None:
    """`imdb.mat` or `wiki.mat` as published: one struct whose fields are 1 × n."""
    from scipy.io import savemat

    def cells(values) -> np.ndarray:
        row = np.empty((1, len(values)), object)
        for at, value in enumerate(values):
            row[0, at] = np.array([value]) if value is not None else np.array([], "<U1")
        return row

    def numbers(name: str) -> np.ndarray:
        return np.array([[float(line[name]) for line in lines]])

    struct = {
        "dob": np.array([[line["dob"] for line in lines]], np.int32),
        "photo_taken": np.array([[line["photo_taken"] for line in lines]], np.uint16),
        "full_path": cells([line["full_path"] for line in lines]),
        "gender": numbers("gender"),
        "name": cells([line["name"] for line in lines]),
        "face_location": cells([[1.0, 1.0, 9.0, 9.0] for _ in lines]),
        "face_score": numbers("face_score"),
        "second_face_score": numbers("second_face_score"),
    }
    if celebrities is not None:
        struct |= {"celeb_names": cells(celebrities), "celeb_id": numbers("celeb_id")}
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(str(path), {path.stem: struct})
