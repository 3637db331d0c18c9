"""AgeDB: people at different ages, all said in the files' names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from likeness.data.manifest import Row
from likeness.data.photofiles import photos_below
from likeness.data.sources.base import Skipped, Source, few_photos, mostly

_NAME = re.compile(r"(?:.*/)?\d+_([^/]+)_(\d{1,3})_([fm])\.jpe?g", re.IGNORECASE)
OLDEST_YEARS = 120


@dataclass(frozen=True)
class AgeDb(Source):
    """Moschoglou et al. 2017, "AgeDB: the first manually collected, in-the-wild age database". 16,488 photos."""

    name: ClassVar = "agedb"
    title: ClassVar = "AgeDB"
    licence: ClassVar = "non-commercial research only, by agreement with the publisher"
    home: ClassVar = "Imperial College London, ibug.doc.ic.ac.uk"
    layout: ClassVar = "0_MariaCallas_35_f.jpg (number, person, age in years, f or m)"
    has: ClassVar = ("identity", "age_years", "gender")
    how_to_get: ClassVar = "ask the publisher by e-mail from an academic address; a password for the archive comes back"

    def recognises(self, folder: Path) -> bool:
        """Whether photos are called NUMBER_PERSON_AGE_GENDER."""
        return mostly(few_photos(folder), lambda path: _NAME.fullmatch(path) is not None)

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo; people are called as in its name, without spaces."""
        for path in photos_below(folder):
            found = _NAME.fullmatch(path)
            if found is None:
                yield Skipped(path, "its name is not NUMBER_PERSON_AGE_GENDER")
            elif int(found[2]) > OLDEST_YEARS:
                yield Skipped(path, f"its age is over {OLDEST_YEARS}")
            else:
                gender = "female" if found[3].lower() == "f" else "male"
                labels: dict[str, str | float] = {"age_years": float(found[2]), "gender": gender}
                yield Row(path=path, identity=found[1], labels=labels, source=self.name, licence=self.licence)
