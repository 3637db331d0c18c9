"""What can be asked of the engine about photos, each with what is left to do once their faces are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from likeness.service import Described, EnrolOptions, FoundPhoto, People
from likeness.service.choosing import Pick, choose
from likeness.service.people import Identified
from likeness.types import Comparison, Face, Photo, TwinAnswer

Looked = tuple[Photo, list[Face]]
"""A decoded photo and its faces."""
Asked = tuple[str, Any, list[Looked]]
"""Who asks, the work, and its photos."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Something asked about photos (bytes of their files, or decoded ones)."""

    photos: tuple[bytes | Photo, ...]

    @property
    def embed(self) -> bool:
        """Whether the faces' embeddings are needed."""
        return True

    @property
    def attributes(self) -> bool:
        """Whether apparent age and gender are needed, where they can be told."""
        return True

    def finish(self, people: People, looked: list[Looked]) -> Any:
        """The answer, for the actor of `people`."""
        raise NotImplementedError

    @classmethod
    def finish_all(cls, people: People, asked: Sequence[Asked]) -> list[Any]:
        """The answers, or the error of each that has none; for work of one class."""
        return [_tried(work, people.acting_as(actor), looked) for actor, work, looked in asked]


def _tried(work: Work, people: People, looked: list[Looked]) -> Any:
    try:
        return work.finish(people, looked)
    except Exception as error:  # theirs alone: others of the batch get their answers
        return error


def described(looked: Looked) -> Described:
    """A photo's faces as the use cases know them; uploads have no path."""
    photo, faces = looked
    return Described("", tuple(faces), photo.size_px)


class Describe(Work):
    """The faces of a photo, with embeddings: a `Described`."""

    __slots__ = ()

    def finish(self, people: People, looked: list[Looked]) -> Described:
        """See `Work`."""
        return described(looked[0])


class Detect(Describe):
    """The faces of a photo, without embeddings."""

    __slots__ = ()

    @property
    def embed(self) -> bool:
        """Boxes do without."""
        return False


class Largest(Work):
    """Who the largest face of a photo is: an `Answer`."""

    __slots__ = ()

    @classmethod
    def finish_all(cls, people: People, asked: Sequence[Asked]) -> list[Any]:
        """See `Work`."""
        found = Identify.finish_all(
            people, [(actor, work, [(photo, faces[:1])]) for actor, work, [(photo, faces)] in asked]
        )
        return [
            each.answers[0] if each.answers else people.recognizer.no_face(looked[0][0])
            for each, (_, _, looked) in zip(found, asked, strict=True)
        ]


class Identify(Work):
    """Who the faces of a photo are: an `Identified`. All that is asked at once is searched for at once."""

    __slots__ = ()

    @classmethod
    def finish_all(cls, people: People, asked: Sequence[Asked]) -> list[Identified]:
        """See `Work`."""
        return people.identify_together([(actor, described(looked[0])) for actor, _, looked in asked])


@dataclass(frozen=True, slots=True, eq=False)
class FindTwins(Work):
    """The lookalikes of a face: a `TwinAnswer`."""

    k: int = 5
    pick: Pick = "largest"
    exclude: tuple[str, ...] = ()
    others: bool = False

    def finish(self, people: People, looked: list[Looked]) -> TwinAnswer:
        """See `Work`."""
        face = chosen(people, looked[0], self.pick)
        return people.twins(face, k=self.k, exclude=self.exclude, others=self.others)


@dataclass(frozen=True, slots=True, eq=False)
class Verify(Work):
    """Whether two photos show one person: a `Comparison`."""

    pick: Pick = "largest"

    def finish(self, people: People, looked: list[Looked]) -> Comparison:
        """See `Work`."""
        first, second = (chosen(people, each, self.pick) for each in looked)
        return people.recognizer.verify(first, second)


@dataclass(frozen=True, slots=True, eq=False)
class Compare(Work):
    """Whether a photo shows somebody who is enrolled: a `Comparison`."""

    person: str
    pick: Pick = "largest"

    def finish(self, people: People, looked: list[Looked]) -> Comparison:
        """See `Work`."""
        return people.compare(chosen(people, looked[0], self.pick), self.person)


@dataclass(frozen=True, slots=True)
class Enrol:
    """Photos to enrol: outcomes in their order, each durable."""

    photos: tuple[FoundPhoto, ...]
    options: EnrolOptions


def chosen(people: People, looked: Looked, pick: Pick) -> Face:
    """The face meant in a photo.

    Raises:
        NoFace, SeveralFaces: it does not give one.
    """
    photo, faces = looked
    if not faces:
        raise people.recognizer.no_face(photo)
    return faces[choose(faces, pick, photo.size_px)[0]]
