"""Faces cut out of a photo, as one file: what lies between the step that finds them and the step that looks at them.

A numpy archive without pickles: `crops` `(n, s, s, 3)` uint8, where age and gender want others `attribute_crops` too,
and `facts`, JSON of boxes, landmarks, qualities, the photo's size, and the models that they were cut for.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.arrays import read_arrays
from likeness.errors import SpoolDamaged
from likeness.recognizer import CutFace, Recognizer
from likeness.types import Face, Photo, Pixels, Quality

MOST_BYTES = 1 << 30
"""Unpacked; a file of more is not read."""


@dataclass(frozen=True, slots=True, eq=False)
class Cutting:
    """The faces of one photo, largest first, cut out for the models that `fit` tells; `size_px` is the photo's."""

    faces: tuple[CutFace, ...]
    size_px: tuple[int, int]
    fit: str

    @classmethod
    def of(cls, recognizer: Recognizer, photo: Photo) -> Cutting:
        """Find and cut out the faces of a photo."""
        return cls(tuple(recognizer.cut(photo)), photo.size_px, fit_of(recognizer))

    def to_bytes(self) -> bytes:
        """The file."""
        facts = {"fit": self.fit, "size": list(self.size_px), "faces": [_facts(cut.face) for cut in self.faces]}
        arrays = {"facts": np.frombuffer(json.dumps(facts).encode(), np.uint8)}
        if self.faces:
            arrays["crops"] = np.stack([_there(cut.face.crop) for cut in self.faces])
            others = [cut.attribute_crop for cut in self.faces if cut.attribute_crop is not None]
            if others:
                arrays["attribute_crops"] = np.stack(others)
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **arrays)
        return file.getvalue()

    @classmethod
    def read(cls, data: bytes) -> Cutting:
        """The faces of a file.

        Raises:
            SpoolDamaged: it is none, or not whole.
        """
        try:
            arrays = read_arrays(data, most_bytes=MOST_BYTES)
            facts: dict[str, Any] = json.loads(arrays["facts"].tobytes())
            crops: Sequence[Pixels] = list(arrays["crops"]) if facts["faces"] else ()
            others: Sequence[Pixels | None] = [None] * len(crops)
            if "attribute_crops" in arrays:
                others = list(arrays["attribute_crops"])
            faces = (_face(each, crop) for each, crop in zip(facts["faces"], crops, strict=True))
            cut = tuple(CutFace(face, other) for face, other in zip(faces, others, strict=True))
            width, height = facts["size"]
            return cls(cut, (int(width), int(height)), str(facts["fit"]))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise SpoolDamaged("a file of cut-out faces is damaged") from error


def fit_of(recognizer: Recognizer) -> str:
    """What crops depend on, in words: the models that they are cut for, and how."""
    return " ".join([*recognizer.fingerprint, recognizer.model_names.get("attributes", "none")])


def _facts(face: Face) -> dict[str, Any]:
    return {
        "box": [float(each) for each in face.box_xyxy_px],
        "landmarks": face.landmarks_px.tolist(),
        "score": face.score,
        "quality": [face.quality.score, list(face.quality.reasons), face.quality.measures],
    }


def _face(facts: dict[str, Any], crop: Pixels) -> Face:
    x1, y1, x2, y2 = facts["box"]
    score, reasons, measures = facts["quality"]
    landmarks = np.asarray(facts["landmarks"], np.float32)
    return Face((x1, y1, x2, y2), landmarks, facts["score"], Quality(score, tuple(reasons), measures), crop=crop)


def _there(crop: Pixels | None) -> Pixels:
    if crop is None:
        raise ValueError("expected a face that was cut out")
    return crop
