"""What a gallery of some size will need: room on disk, and memory to be searched fast."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

USUAL_PICTURE_BYTES = 6_000
"""A face cut out of a photo, as a JPEG of the usual side."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What so many faces need; about, by the sizes of what an engine keeps of each.

    Attributes:
        index: what searches would use: `exact`, or the name of the index.
        memory_bytes: what searches hold, in this process or on the server.
        disk_bytes: of one copy, pictures and index included.
        picture_bytes: how large a picture was taken to be: as those that are there, or as usual.
    """

    faces: int
    index: str
    memory_bytes: int
    disk_bytes: int
    picture_bytes: int

    def __str__(self) -> str:
        return (
            f"{self.faces:,} faces want about {self.disk_bytes / 1e6:,.0f} MB of disk, with pictures of "
            f"{self.picture_bytes / 1e3:.1f} kB, and {self.memory_bytes / 1e6:,.0f} MB of memory for searches "
            f"({self.index})"
        )


def picture_bytes(sizes: Sequence[int]) -> int:
    """How large a picture is: as those are on average, or as usual where there are none."""
    return round(sum(sizes) / len(sizes)) if sizes else USUAL_PICTURE_BYTES
