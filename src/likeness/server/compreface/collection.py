"""CompreFace's face collection on our gallery: images by UUID, pages by number, renaming that merges.

CompreFace's image ids are UUIDs; ours are numbers. A number is told as a UUID of version 8 (RFC 9562, section 5.8),
whose bits are the application's own: the letters `likene`, then the number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np

from likeness.errors import PersonExists, PersonNotFound, PictureNotFound, RequestInvalid
from likeness.service import Described, People
from likeness.service.enrolled import face_of_vector
from likeness.types import Face

_MARK = int.from_bytes(b"likene", "big") << 80 | 8 << 76 | 2 << 62
_NUMBERS = 1 << 62
LONGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the pictures, with the names of those they show, and how many there are in all."""

    pictures: tuple[tuple[int, str], ...]
    size: int
    total: int


def image_id_of(face_id: int) -> str:
    """A picture's number as CompreFace's clients want ids."""
    return str(UUID(int=_MARK | face_id))


def face_id_of(image_id: UUID) -> int:
    """The number in an id.

    Raises:
        PictureNotFound: it is none of ours.
    """
    number = image_id.int ^ _MARK
    if not 0 <= number < _NUMBERS:
        raise PictureNotFound(f"there is no image {image_id}")
    return number


def page_of(people: People, subject: str | None, page: int, size: int) -> Page:
    """A page of the pictures of somebody, or of everybody by name; only those on it are read."""
    size = min(size, LONGEST_PAGE)
    if subject is None:
        everyone: Iterable[Any] = people.find()
    else:
        try:
            everyone = [people.gallery.person(subject)]
        except PersonNotFound:
            everyone = []
    first, total, found = page * size, 0, list[tuple[int, str]]()
    for person in everyone:
        start, total = total, total + person.faces
        if total > first and len(found) < size:
            held = [face.id for face in people.gallery.faces(person.id)]
            from_here = held[max(first - start, 0) :][: size - len(found)]
            found += [(face_id, person.name) for face_id in from_here]
    return Page(tuple(found), size, total)


def rename(people: People, old: str, new: str) -> bool:
    """Give a subject another name; where somebody has that already, the two become one. False: it is its name now.

    Raises:
        PersonNotFound: nobody has the old name.
    """
    person = people.gallery.person(old)
    if person.name == new:
        return False
    try:
        people.rename(person.id, new)
    except PersonExists:
        people.merge(person.id, people.gallery.person(new).id)
    return True


def erase(people: People, subject: str | None) -> tuple[int, int]:
    """Erase somebody, or everybody; how many people and faces it were. Nobody of that name is nothing to do."""
    try:
        gone = list(people.find()) if subject is None else [people.gallery.person(subject)]
    except PersonNotFound:
        return 0, 0
    return len(gone), sum(people.forget(person.id).faces for person in gone)


def erase_picture(people: People, face_id: int) -> str:
    """Erase one picture; the name of the person whom it showed, who stays.

    Raises:
        PictureNotFound: there is none of that number.
    """
    person = people.gallery.person(people.find_picture(face_id).person_id)
    people.forget_picture(person.id, face_id)
    return person.name


def erase_pictures(people: People, image_ids: Iterable[UUID]) -> list[tuple[UUID, str]]:
    """Erase pictures; those that were there, with the names of whom they showed."""
    gone = []
    for image_id in dict.fromkeys(image_ids):
        with suppress(PictureNotFound):
            gone.append((image_id, erase_picture(people, face_id_of(image_id))))
    return gone


def picture_bytes(people: People, image_id: UUID) -> bytes:
    """An enrolled picture; no bytes where there is none, as CompreFace answers."""
    try:
        face_id = face_id_of(image_id)
        return people.picture(people.find_picture(face_id).person_id, face_id)
    except PictureNotFound:
        return b""


def faces_of_vectors(people: People, vectors: Iterable[list[float]]) -> list[Face]:
    """Embeddings that a client has, as faces; they are brought to unit length.

    Raises:
        RequestInvalid: one has another length than the model's, or is no direction.
    """
    dimension = people.recognizer.dimension
    faces = []
    for vector in vectors:
        array = np.asarray(vector, np.float64)
        length = float(np.linalg.norm(array)) if array.shape == (dimension,) else 0.0
        if not np.isfinite(length) or length <= 1e-6:
            raise RequestInvalid(f"expected embeddings of {dimension} numbers that are not all zero")
        faces.append(face_of_vector((array / length).astype(np.float32)))
    return faces


def name_vectors(vectors: list[list[float]], count: int, actor: str) -> Callable[[People], Any]:
    """Who the faces of these embeddings are: the answers."""

    def work(people: People) -> Any:
        faces = faces_of_vectors(people, vectors)
        [found] = people.identify_together([(actor, Described("", tuple(faces)))], candidates=count)
        return found.answers

    return work


def compare_vectors(source: list[float] | int, targets: list[list[float]]) -> Callable[[People], list[float]]:
    """How probably each target shows the person of the source: an embedding, or the number of an enrolled picture."""

    def work(people: People) -> list[float]:
        faces = faces_of_vectors(people, targets)
        if isinstance(source, int):
            held = people.find_picture(source)
            return [people.compare(face, held.person_id, face_id=held.id).probability for face in faces]
        [first] = faces_of_vectors(people, [source])
        return [people.recognizer.verify(first, face).probability for face in faces]

    return work
