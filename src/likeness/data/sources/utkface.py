"""UTKFace: age, gender and group in the files' names; nobody is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import Row
from likeness.data.photofiles import photos_below
from likeness.data.sources.base import Skipped, Source, few_photos, mostly

# What follows the group is a time; a few of the published names have a blank or letters after it.
_NAME = re.compile(r"(?:.*/)?(\d{1,3})_([01])_([0-4])_\d{8,}[^/_]*\.jpg", re.IGNORECASE)
_GENDERS = ("male", "female")
_GROUPS = ("white", "black", "asian", "indian", "other")
OLDEST_YEARS = 120


@dataclass(frozen=True)
class UtkFace(Source):
    """Zhang, Song and Qi 2017, "Age progression/regression by conditional adversarial autoencoder". 23,708 photos.

    `group` is the publisher's word "race" and their five values, in lower case; who judged it is not documented.
    """

    name: ClassVar = "utkface"
    title: ClassVar = "UTKFace"
    licence: ClassVar = "non-commercial research only; the photos belong to their owners"
    home: ClassVar = "University of Tennessee, susanqq.github.io/UTKFace"
    layout: ClassVar = "25_0_2_20170116174525125.jpg or ….jpg.chip.jpg (age in years, gender, group, time)"
    has: ClassVar = ("age_years", "gender", "group")
    how_to_get: ClassVar = (
        "follow the links on the publisher's page to their file store (the aligned and cropped faces)"
    )

    def recognises(self, folder: Path) -> bool:
        """Whether photos are called AGE_GENDER_GROUP_TIME."""
        return mostly(few_photos(folder), lambda path: _NAME.fullmatch(path) is not None)

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row without identity for each photo; a name that lacks a part is skipped, not guessed."""
        for path in photos_below(folder):
            found = _NAME.fullmatch(path)
            if found is None:
                yield Skipped(path, "its name is not AGE_GENDER_GROUP_TIME")
            elif int(found[1]) > OLDEST_YEARS:
                yield Skipped(path, f"its age is over {OLDEST_YEARS}")
            else:
                labels: dict[str, str | float] = {
                    "age_years": float(found[1]),
                    "gender": _GENDERS[int(found[2])],
                    "group": _GROUPS[int(found[3])],
                }
                yield Row(path=path, labels=labels, source=self.name, licence=self.licence)
