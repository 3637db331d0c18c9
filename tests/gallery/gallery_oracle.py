"""What the tests of galleries share: synthetic faces, and a naive gallery of dicts to compare with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np

from likeness.gallery.base import NewFace
from likeness.types import Vector

DIMENSION = 16
SPACE = "test-space"


def unit(seed: int, *, dimension: int = DIMENSION) -> Vector:
    """A random unit vector `(dimension,)`, the same for the same seed."""
    vector = np.random.default_rng(seed).standard_normal(dimension).astype(np.float32)
    return vector / np.linalg.norm(vector)


def new_face(name: str, seed: int, *, dimension: int = DIMENSION, **more) -> NewFace:
    """A face whose vector, crop and photo follow from a number."""
    given = {
        "embedding": unit(seed, dimension=dimension),
        "crop_jpeg": f"<crop {seed}>".encode() * 40,
        "photo_sha256": photo(seed),
    }
    return NewFace(name=name, **(given | more))


def photo(seed: int) -> str:
    """The sha256 of a photo that does not exist."""
    return hashlib.sha256(str(seed).encode()).hexdigest()


@dataclass
class Oracle:
    """People by key of name, faces as (face id, photo, vector): everything computed the slow, plain way."""

    people: dict[str, str] = field(default_factory=dict)
    faces: dict[str, list[tuple[int, str, Vector]]] = field(default_factory=dict)

    def search(self, probe: Vector, k: int, exclude: tuple[str, ...] = ()) -> list[tuple[str, float]]:
        """(person id, similarity) of the k nearest people."""
        best = [
            (person, max(float(vector @ probe) for _, _, vector in faces))
            for person, faces in self.faces.items()
            if faces and person not in exclude
        ]
        return sorted(best, key=lambda one: -one[1])[:k]


def found(gallery, seed, k=3, **more):
    """Names of the people that a search for a face's own vector finds."""
    return [hit.name for hit in gallery.search(unit(seed)[None], k, **more)[0]]
