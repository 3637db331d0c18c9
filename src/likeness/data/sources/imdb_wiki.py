"""IMDB-WIKI: photos of celebrities with dates of birth, in MATLAB tables."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from likeness.data.manifest import Row, stays_inside
from likeness.data.sources import matlab
from likeness.data.sources.base import Download, Skipped, Source
from likeness.errors import DatasetError, ExtraMissing

_TABLES = ("imdb", "wiki")
# MATLAB counts days from the year 0, Python from the year 1.
_MATLAB_DAYS_BEFORE = 366


@dataclass(frozen=True)
class ImdbWiki(Source):
    """Rothe, Timofte and Van Gool 2015, "DEX: Deep EXpectation of apparent age". 523,051 photos.

    A photo is taken to be of the middle of its year, as the publisher does: the age is that on the 1st of July. Left
    out are photos whose best face scores below `min_face_score` (no face at all scores minus infinity), photos with a
    second face, and ages outside `min_age_years` to `max_age_years` (wrong dates).

    Attributes:
        min_face_score: the detector's, not a probability; most good faces have 1 to 6.
        allow_second_face: keep photos on which a second face was found.
    """

    name: ClassVar = "imdb-wiki"
    title: ClassVar = "IMDB-WIKI"
    licence: ClassVar = "academic research only; the photos belong to their owners"
    home: ClassVar = "ETH Zürich, data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki"
    layout: ClassVar = (
        "wiki.mat or imdb.mat beside the numbered folders of photos (wiki_crop/00/23300_1962-06-19_2011.jpg)"
    )
    has: ClassVar = ("identity", "age_years", "gender")
    downloads: ClassVar = (
        Download(url="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki/static/wiki_crop.tar", file="wiki_crop.tar"),
    )
    how_to_get: ClassVar = "the archive imdb_crop.tar (7 GB) lies beside it: give its address with --url"

    min_face_score: float = 1.0
    allow_second_face: bool = False
    min_age_years: int = 0
    max_age_years: int = 100

    def recognises(self, folder: Path) -> bool:
        """Whether one of the tables is there."""
        return bool(_tables(folder))

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo of the tables that are there.

        Raises:
            ExtraMissing: scipy is not installed. DatasetError: no table, or one that cannot be read.
        """
        tables = _tables(folder)
        if not tables:
            raise DatasetError(f"{str(folder)!r} has neither imdb.mat nor wiki.mat", hint=f"expected {self.layout}")
        for path in tables:
            for line in _lines(path):
                yield self._entry(line, path.parent, folder)

    def _entry(self, line: dict[str, Any], place: Path, folder: Path) -> Row | Skipped:
        path = (place.relative_to(folder) / PurePosixPath(str(line["full_path"]))).as_posix()
        if not stays_inside(path):
            return Skipped(path, "a path that leaves the folder")
        if not line["face_score"] >= self.min_face_score:
            return Skipped(path, "no face" if math.isinf(line["face_score"]) else "a face score that is too low")
        if not self.allow_second_face and not math.isnan(line["second_face_score"]):
            return Skipped(path, "a second face")
        age_years = age_at_mid_year(line["dob"], line["photo_taken"])
        if age_years is None:
            return Skipped(path, "no usable date of birth")
        if not self.min_age_years <= age_years <= self.max_age_years:
            return Skipped(path, "an implausible age")
        if not os.path.isfile(folder / path):  # noqa: PTH113 - once for each of half a million
            return Skipped(path, "in the table, but not there")
        labels: dict[str, str | float] = {"age_years": float(age_years)}
        if not math.isnan(line["gender"]):
            labels["gender"] = "male" if line["gender"] == 1 else "female"
        return Row(path=path, identity=line["name"], labels=labels, source=self.name, licence=self.licence)


def age_at_mid_year(birth_datenum: float, year_taken: float) -> int | None:
    """Completed years on the 1st of July of the year that a photo was taken; None where a date is none.

    `birth_datenum` is MATLAB's: days since the year 0, 719529 is the 1st of January 1970.
    """
    if not (math.isfinite(birth_datenum) and math.isfinite(year_taken)):
        return None
    try:
        born = date.fromordinal(int(birth_datenum) - _MATLAB_DAYS_BEFORE)
    except (ValueError, OverflowError):
        return None
    return int(year_taken) - born.year - ((born.month, born.day) > (7, 1))


def _tables(folder: Path) -> list[Path]:
    """The tables of a folder: its own, or those of the folders of the archives in it."""
    if not folder.is_dir():
        return []
    places = [folder, *(folder / f"{table}{ending}" for table in _TABLES for ending in ("_crop", ""))]
    found = [place / f"{table}.mat" for place in places for table in _TABLES]
    return [path for path in found if path.is_file()]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """The table's lines as plain values, read by a process of its own (`likeness.data.sources.matlab`)."""
    if find_spec("scipy") is None:
        raise ExtraMissing("MATLAB tables need scipy", hint="pip install 'likeness[data]'")
    command = [sys.executable, "-m", matlab.__name__, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as reader:  # noqa: S603
        assert reader.stdout is not None  # a pipe, as asked for
        try:
            for text in reader.stdout:
                line: dict[str, Any] = json.loads(text)
                if matlab.FAULT in line:
                    raise DatasetError(line[matlab.FAULT])
                yield line
            code = reader.wait()
        finally:
            reader.kill()
    if code:
        raise DatasetError(f"{path} is damaged: the reader of MATLAB tables fell over it")
