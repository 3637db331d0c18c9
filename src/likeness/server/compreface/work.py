"""What CompreFace's calls ask of the engine: faces of which the detector is sure enough, largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from likeness.errors import LikenessError, SeveralFaces
from likeness.server.work import Asked, Looked, Work
from likeness.service import Described, People
from likeness.types import Answer, Face


@dataclass(frozen=True, slots=True, eq=False)
class Sought(Work):
    """Faces of photos.

    Attributes:
        limit: how many of each photo, largest first; 0 is all.
        least_score: faces of which the detector is less sure are passed over.
        embed, attributes: see `Work`.
    """

    limit: int = 0
    least_score: float = 0.0
    embed: bool = True
    attributes: bool = True

    def kept(self, people: People, looked: Looked) -> Described:
        """The faces of a photo that are meant.

        Raises:
            NoFace: none is.
        """
        photo, faces = looked
        sure = [face for face in faces if face.score >= self.least_score]
        if not sure:
            raise people.recognizer.no_face(photo)
        return Described("", tuple(sure[: self.limit or None]), photo.size_px)

    def finish(self, people: People, looked: list[Looked]) -> Any:
        """The faces of one photo: a `Described`."""
        return self.kept(people, looked[0])


@dataclass(frozen=True, slots=True, eq=False)
class Name(Sought):
    """Who the faces of a photo are: an `Identified`, with the nearest `candidates` people for each."""

    candidates: int = 1

    @classmethod
    def finish_all(cls, people: People, asked: Sequence[Asked]) -> list[Any]:
        """See `Work`; all that is asked at once is searched for at once."""
        ends: dict[int, Any] = {}
        seen: dict[int, dict[int, tuple[str, Described]]] = {}
        for place, (actor, work, looked) in enumerate(asked):
            try:
                seen.setdefault(work.candidates, {})[place] = (actor, work.kept(people, looked[0]))
            except LikenessError as error:
                ends[place] = error
        for candidates, alike in seen.items():  # who else is listed changes probabilities in the last digits
            found = people.identify_together(list(alike.values()), candidates=candidates)
            ends.update(zip(alike, found, strict=True))
        return [ends[place] for place in range(len(asked))]


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """The only face of one photo, the faces of another, and how probably each is the first one's person."""

    source: Face
    source_size_px: tuple[int, int]
    targets: Described
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Pair(Sought):
    """The faces of a photo against the only one of another: a `Paired`."""

    def finish(self, people: People, looked: list[Looked]) -> Paired:
        """See `Work`.

        Raises:
            SeveralFaces: the first photo has more faces.
        """
        source = self.kept(people, looked[0])
        if len(source.faces) > 1:
            raise SeveralFaces(f"the source photo shows {len(source.faces)} faces where one is needed")
        targets = self.kept(people, looked[1])
        compared = [people.recognizer.verify(source.faces[0], face) for face in targets.faces]
        return Paired(source.faces[0], looked[0][0].size_px, targets, tuple(each.probability for each in compared))


@dataclass(frozen=True, slots=True, eq=False)
class AgainstExample(Sought):
    """The faces of a photo against an enrolled picture: a `Described`, its person's name, and the probabilities."""

    face_id: int = 0

    def finish(self, people: People, looked: list[Looked]) -> tuple[Described, str, list[float]]:
        """See `Work`.

        Raises:
            PictureNotFound: there is no such picture.
        """
        held = people.find_picture(self.face_id)
        seen = self.kept(people, looked[0])
        compared = [people.compare(face, held.person_id, face_id=held.id) for face in seen.faces]
        return seen, people.gallery.person(held.person_id).name, [each.probability for each in compared]


def ranked(answer: Answer, count: int) -> list[tuple[str, float]]:
    """Names and probabilities of the nearest people, likeliest first."""
    if answer.match is None:
        return []
    nearest = (answer.match, *answer.runners_up)[:count]
    return [(match.name, match.probability) for match in nearest]
