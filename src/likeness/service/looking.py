"""Looking at photos without a gallery: describe what is on them, compare two."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.errors import FaceError, InputError, LikenessError, VideoUnusable
from likeness.recognizer import Recognizer, Source
from likeness.service.choosing import Pick, choose
from likeness.service.photos import FoundPhoto
from likeness.types import Comparison, Face


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The faces of one photo, largest first, or the error that kept it from being looked at."""

    path: str
    faces: tuple[Face, ...] = ()
    size_px: tuple[int, int] | None = None
    error: LikenessError | None = None

    def as_dict(self, *, embeddings: bool = False) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"path": self.path, "faces": [face.as_dict(embedding=embeddings) for face in self.faces]}
        if self.size_px is not None:
            data["size"] = list(self.size_px)
        if self.error is not None:
            data["error"] = self.error.as_dict()
        return data


def describe(recognizer: Recognizer, photos: Iterable[FoundPhoto], *, embed: bool = True) -> Iterator[Described]:
    """The faces of each photo, in order; several photos at a time. A photo that fails comes with its error."""

    def work(photo: FoundPhoto) -> Described:
        return describe_one(recognizer, photo, embed=embed)

    load_models(recognizer)
    return recognizer.map(work, photos)


def load_models(recognizer: Recognizer, *, attributes: bool = True) -> None:
    """Load what every photo needs, before several threads ask for it at once.

    Raises:
        ModelError, ModelNotFound, CalibrationError: a model cannot be used: told once, not for each photo.
    """
    _ = recognizer.detector, recognizer.embedder, attributes and recognizer.attribute_network


def describe_one(recognizer: Recognizer, photo: FoundPhoto, *, embed: bool = True) -> Described:
    """The faces of one photo, or its error."""
    if photo.error is not None:
        return Described(photo.path, error=photo.error)
    try:
        decoded = recognizer.photo(photo.path if photo.data is None else photo.data)
        return Described(photo.path, tuple(recognizer.faces(decoded, embed=embed)), decoded.size_px)
    except InputError as error:
        return Described(photo.path, error=error)


def verify(recognizer: Recognizer, first: Source, second: Source, *, pick: Pick = "largest") -> Comparison:
    """Whether two photos show one person; of several faces the one that `pick` says.

    Raises:
        PhotoError: a photo cannot be decoded.
        NoFace, SeveralFaces: a photo does not give one face.
    """
    one, two = (chosen_face(recognizer, source, pick, attributes=False) for source in (first, second))
    return recognizer.verify(one, two)


def chosen_face(recognizer: Recognizer, source: Source, pick: Pick, *, attributes: bool = True) -> Face:
    """The face meant in a photo, with its embedding and, unless without `attributes`, apparent age and gender.

    Raises:
        PhotoError: the photo cannot be decoded.
        NoFace, SeveralFaces: it does not give one face.
    """
    photo = recognizer.photo(source)
    faces = recognizer.faces(photo, attributes=attributes)
    try:
        if not faces:
            raise recognizer.no_face(photo)
        return faces[choose(faces, pick, photo.size_px)[0]]
    except FaceError as error:
        if not isinstance(source, str | os.PathLike):
            raise
        raise type(error)(f"{os.fspath(source)!r}: {error.message}", hint=error.hint) from None


def digest(data: bytes) -> str:
    """Hex sha256 of a file's bytes, as in `likeness.types.Photo`."""
    return hashlib.sha256(data).hexdigest()


def digest_of_file(path: str) -> str:
    """Hex sha256 of a file that may be too large to be held.

    Raises:
        VideoUnusable: it cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VideoUnusable(f"{path!r} cannot be read: {error.strerror}") from error
