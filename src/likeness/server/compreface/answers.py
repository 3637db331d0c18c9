"""Faces and errors as CompreFace tells them.

`similarity` is the calibrated probability that it is that person, to five digits: in a search among everybody in the
gallery and strangers, else of the pair. Plugins that we have no model for (mask, pose) leave no trace, as in CompreFace
those that were not built in.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from typing import Any

from starlette.responses import JSONResponse

from likeness.apparent import COVERAGE
from likeness.recognizer import Recognizer
from likeness.server.compreface.schemas import FailedAnswer, LookingQuery
from likeness.server.context import errors
from likeness.server.failures import Failure
from likeness.types import Face

FAILURES = errors(always=(400, 403, 404, 429, 503), model=FailedAnswer)
BODY_FAILURES = errors(413, always=(400, 403, 404, 429, 503), model=FailedAnswer)
PHOTO_FAILURES = errors(413, 415, always=(400, 403, 404, 429, 503), model=FailedAnswer)

_DIGITS = 5
_SAYS: dict[str, tuple[int, int, str]] = {
    "key_missing": (400, 20, "Missing header: x-api-key"),
    "key_invalid": (404, 10, "There is no service with this API key"),
    "no_face": (400, 28, "No face is found in the given image"),
    "several_faces": (400, 31, "More than one face in the source image"),
    "person_exists": (400, 43, "Subject already exists"),
    "person_not_found": (404, 42, ""),
    "picture_not_found": (404, 44, ""),
    "photo_unsupported": (400, 21, ""),
    "photo_too_large": (413, 21, ""),
    "request_invalid": (400, 26, ""),
}
"""Our code of an error: CompreFace's status, number and words (ours, where those say more)."""
_MISSING = "Field required"


def shape(failure: Failure, request_id: str) -> JSONResponse:
    """An error as CompreFace's clients know it: a message, and a small number."""
    status, code, words = _SAYS.get(failure.code, (400 if failure.status in (409, 422) else failure.status, 0, ""))
    message = words or failure.said
    fields = failure.details.get("fields") or []
    if failure.code == "request_invalid" and fields:
        name, said = fields[0]["field"].rpartition(".")[2], fields[0]["message"]
        message = f"{name}: {said}"
        if said == _MISSING:
            code = 33 if fields[0]["field"].startswith("query.") else 34
            message = f"Required {'parameter' if code == 33 else 'part'} '{name}' is not present"
    return JSONResponse({"message": message, "code": code}, status)


class Teller:
    """Faces in CompreFace's words, for one request.

    Args:
        asked: what of the faces is wanted.
        recognizer: whose models looked at them.
    """

    def __init__(self, asked: LookingQuery, recognizer: Recognizer) -> None:
        self._plugins = plugins_of(asked)
        self._status, self._recognizer, self._since = asked.status, recognizer, time.perf_counter()

    def face(self, face: Face, size_px: tuple[int, int] | None) -> dict[str, Any]:
        """A face on a photo of that size: its box, and what was asked for."""
        told: dict[str, Any] = {"box": _box(face, size_px)}
        if face.age is not None and "age" in self._plugins:
            low, high = math.floor(face.age.low), math.ceil(face.age.high)
            told["age"] = {"probability": COVERAGE, "high": high, "low": max(low, 0)}
        if face.gender is not None and "gender" in self._plugins:
            told["gender"] = {"probability": round(face.gender.probability, _DIGITS), "value": face.gender.label}
        if "landmarks" in self._plugins:
            told["landmarks"] = [[round(float(x)), round(float(y))] for x, y in face.landmarks_px]
        if face.embedding is not None and "calculator" in self._plugins:
            told["embedding"] = [float(value) for value in face.embedding]
        if self._status:
            told["execution_time"] = {"total": round(1000 * (time.perf_counter() - self._since), 1)}
        return told

    def whole(self, result: Iterable[dict[str, Any]], *, calculates: bool = True) -> dict[str, Any]:
        """The answer, with the models where they were asked for."""
        return {"result": list(result)} | self.versions(calculates=calculates)

    def versions(self, *, calculates: bool = True) -> dict[str, Any]:
        """The names of the models that were used, where the status was asked for."""
        if not self._status:
            return {}
        names = self._recognizer.model_names
        used = {"detector": names["detector"]}
        if calculates or "calculator" in self._plugins:
            used["calculator"] = names["embedder"]
        if "attributes" in names:
            used |= {name: names["attributes"] for name in ("age", "gender") if name in self._plugins}
        return {"plugins_versions": used}


def plugins_of(asked: LookingQuery) -> frozenset[str]:
    """What is asked of each face; names of plugins that we do not have do no harm."""
    return frozenset(name.strip().lower() for name in asked.face_plugins.split(","))


def tells(asked: LookingQuery) -> bool:
    """Whether apparent age or gender is asked for."""
    return bool(plugins_of(asked) & {"age", "gender"})


def rounded(probability: float) -> float:
    """A probability as CompreFace's similarities are told, without making a certainty of it by rounding."""
    return min(max(round(probability, _DIGITS), 1e-5), 1 - 1e-5)


def similar(ranked: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Subjects with their probabilities."""
    return [{"subject": name, "similarity": rounded(probability)} for name, probability in ranked]


def _box(face: Face, size_px: tuple[int, int] | None) -> dict[str, Any]:
    """The box in whole pixels, inside the photo."""
    x1, y1, x2, y2 = face.box_xyxy_px
    width, height = size_px or (math.ceil(x2), math.ceil(y2))
    return {
        "probability": round(face.score, _DIGITS),
        "x_max": min(round(x2), width),
        "y_max": min(round(y2), height),
        "x_min": max(round(x1), 0),
        "y_min": max(round(y1), 0),
    }
