"""What the pages ask of the engine: the API's questions, with the photo's pixels to show beside the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from likeness.server.work import Asked, Detect, FindTwins, Identify, Looked
from likeness.service import Described, People
from likeness.types import Photo, TwinAnswer


class Named(Identify):
    """Who the faces of a photo are: the photo, and an `Identified`."""

    __slots__ = ()

    @classmethod
    def finish_all(cls, people: People, asked: Sequence[Asked]) -> list[Any]:
        """See `Work`."""
        found = Identify.finish_all(people, asked)
        return [(looked[0][0], each) for each, (_, _, looked) in zip(found, asked, strict=True)]


class Mirrored(Detect):
    """The faces of a photo, without embeddings: the photo, and a `Described`."""

    __slots__ = ()

    def finish(self, people: People, looked: list[Looked]) -> tuple[Photo, Described]:  # type: ignore[override]
        """See `Work`."""
        return looked[0][0], Detect.finish(self, people, looked)


class Doubles(FindTwins):
    """The lookalikes of a face: the photo, how many faces are on it, and a `TwinAnswer`."""

    __slots__ = ()

    def finish(self, people: People, looked: list[Looked]) -> tuple[Photo, int, TwinAnswer]:  # type: ignore[override]
        """See `Work`."""
        photo, faces = looked[0]
        return photo, len(faces), FindTwins.finish(self, people, looked)
