"""From faces to people: each person's nearest face, the nearest people first, whichever engine found the faces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from likeness.gallery.base import Hit


def best_per_person(faces: Iterable[Hit], k: int) -> list[Hit]:
    """The `k` nearest people among faces in any order; of equally similar faces the older one counts.

    A cosine that rounding carried beyond 1 is brought back.
    """
    best: dict[str, Hit] = {}
    for face in sorted(faces, key=lambda one: (-one.similarity, one.face_id)):
        best.setdefault(face.person_id, face)
    return [replace(one, similarity=max(-1.0, min(1.0, one.similarity))) for one in list(best.values())[:k]]
