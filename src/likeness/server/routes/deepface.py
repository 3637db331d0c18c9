"""DeepFace's API server on our models: `likeness serve --compatible deepface`; see docs/compatible.md.

Photos come as data alone. The models are the server's: what a request says of models and detectors is not followed, and
the answer names those that were used.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse

from likeness.decision import VERIFICATION_FMR
from likeness.errors import RequestInvalid
from likeness.server.access import KeyFirst
from likeness.server.app import Part
from likeness.server.context import Here, Reader, errors
from likeness.server.failures import Failure
from likeness.server.schemas import Answering, Unit
from likeness.server.uploads import DataField, PhotoForm, body_of, read
from likeness.server.work import Describe, Verify
from likeness.service import People
from likeness.types import Comparison, Face

router = APIRouter(route_class=KeyFirst, tags=["deepface"])

Action = Literal["age", "gender", "emotion", "race"]
ACTIONS: tuple[Action, ...] = ("age", "gender", "emotion", "race")
Metric = Literal["cosine", "euclidean", "euclidean_l2", "angular"]
_PHOTO_MISSING = ("img", "img1", "img2")


def _plain(given: Any) -> Any:
    """A number or a yes or no that came as text, as DeepFace takes it in JSON too."""
    if isinstance(given, str) and len(given) <= 32:
        with suppress(ValueError):
            return json.loads(given.lower())
    return given


_Flag = Annotated[bool, BeforeValidator(_plain)]


class DeepFaceForm(PhotoForm):
    """What every call takes."""

    model_config = ConfigDict(extra="ignore")

    model_name: str = Field("", max_length=100, description="Not followed: the server's model is used.")
    detector_backend: str = Field("", max_length=100, description="Not followed, except that `skip` is refused.")
    enforce_detection: _Flag = Field(True, description="False: a photo without a face gives no results, not an error.")
    align: _Flag = Field(True, description="Not followed: faces are always aligned.")
    anti_spoofing: _Flag = Field(False, description="Refused: nothing here tells a face from a picture of one.")

    def expect_possible(self) -> None:
        """Refuse what would be answered otherwise than it was meant.

        Raises:
            RequestInvalid: it is asked for.
        """
        if self.anti_spoofing:
            raise RequestInvalid("anti_spoofing: nothing here tells a face from a picture of one")
        if self.detector_backend == "skip":
            raise RequestInvalid("detector_backend: faces are always looked for, to be aligned; `skip` cannot be had")


class RepresentForm(DeepFaceForm):
    """A photo whose faces' embeddings are asked for."""

    img: DataField
    max_faces: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_plain)] = Field(
        None, description="Largest first."
    )


class VerifyForm(DeepFaceForm):
    """Two photos, of each the largest face."""

    img1: DataField
    img2: DataField
    distance_metric: Metric = "cosine"
    threshold: Annotated[Annotated[float, Field(ge=0, le=10)] | None, BeforeValidator(_plain)] = Field(
        None, description="The distance up to which it is one person; the server's, where none is given."
    )


def _actions(given: Any) -> Any:
    """A list, also from a form's text such as `['age', 'gender']`."""
    if isinstance(given, str):
        given = [part for part in given.translate({ord(letter): None for letter in "[]()\"' "}).split(",") if part]
    return given


class AnalyzeForm(DeepFaceForm):
    """A photo whose faces are described."""

    img: DataField
    actions: Annotated[list[Action], BeforeValidator(_actions), Field(min_length=1, max_length=8)] = Field(
        list(ACTIONS), description="Of these age and gender are told, where the models in use tell them."
    )


class AreaAnswer(Answering):
    """Where a face is, in pixels; the eyes are the person's own left and right."""

    x: int
    y: int
    w: int
    h: int
    left_eye: list[int]
    right_eye: list[int]


class RepresentResult(Answering):
    """A face's embedding, of unit length."""

    embedding: list[float]
    facial_area: AreaAnswer
    face_confidence: Unit


class RepresentAnswer(Answering):
    """All faces, and the model whose embeddings these are."""

    results: list[RepresentResult]
    model: str


class AreasAnswer(Answering):
    """Where the two faces are."""

    img1: AreaAnswer
    img2: AreaAnswer


class VerifyAnswer(Answering):
    """Whether the distance is within the threshold; `confidence` is the calibrated probability in per cent."""

    verified: bool
    distance: float
    threshold: float
    confidence: float = Field(ge=0, le=100)
    model: str
    detector_backend: str
    similarity_metric: Metric
    facial_areas: AreasAnswer
    time: float


class AnalyzeResult(Answering):
    """What one face looks like; shares in per cent."""

    age: int | None = None
    gender: dict[Literal["Woman", "Man"], float] | None = None
    dominant_gender: Literal["Woman", "Man"] | None = None
    region: AreaAnswer
    face_confidence: Unit


class AnalyzeAnswer(Answering):
    """All faces, and the actions that the models in use have no answer to."""

    results: list[AnalyzeResult]
    not_told: list[str]


class FailedAnswer(BaseModel):
    """An error, under the name that DeepFace's server gives it."""

    model_config = ConfigDict(extra="forbid")

    message: str | None = Field(None, description="Of a missing or wrong key.")
    exception: str | None = Field(None, description="Of a photo that is missing in the request, or no data.")
    error: str | None = Field(None, description="Of anything else.")


_FAILURES = errors(413, 415, always=(400, 401, 403, 429, 503), model=FailedAnswer)


def part() -> Part:
    """The routes, and how their errors look."""
    return Part(routers=(router,), shapes=dict.fromkeys(("/represent", "/verify", "/analyze"), shape))


def shape(failure: Failure, request_id: str) -> JSONResponse:
    """An error as DeepFace's clients know it."""
    fields = failure.details.get("fields") or []
    said = "; ".join(f"{field['field']}: {field['message']}" for field in fields) or failure.said
    name = "error"
    if failure.status in (401, 403):
        name = "message"
    elif any(field["field"] in _PHOTO_MISSING for field in fields):
        name = "exception"
    unusable = failure.status in (404, 409, 422) or failure.code == "photo_unsupported"
    return JSONResponse({name: said}, 400 if unusable else failure.status)


@router.post("/represent", response_model=RepresentAnswer, responses=_FAILURES, openapi_extra=body_of(RepresentForm))
async def represent(actor: Reader, here: Here, asked: Annotated[RepresentForm, Depends(read(RepresentForm))]) -> Any:
    """Give the embedding of each face of a photo."""
    asked.expect_possible()
    faces = await _faces(here, actor, asked)
    results = [
        {
            "embedding": [] if face.embedding is None else face.embedding.tolist(),
            "facial_area": _area(face),
            "face_confidence": round(face.score, 2),
        }
        for face in faces[: asked.max_faces]
    ]
    return {"results": results, "model": here.engine.people.recognizer.model_names["embedder"]}


@router.post("/verify", response_model=VerifyAnswer, responses=_FAILURES, openapi_extra=body_of(VerifyForm))
async def verify(actor: Reader, here: Here, asked: Annotated[VerifyForm, Depends(read(VerifyForm))]) -> Any:
    """Say whether the largest faces of two photos are one person's."""
    asked.expect_possible()
    since = time.perf_counter()
    found: Comparison = await here.ask(Verify, actor, asked.img1, asked.img2)
    metric, threshold = asked.distance_metric, asked.threshold
    if threshold is None:
        threshold = _distance(_usual_similarity(here.engine.people), metric)
    distance = _distance(found.similarity, metric)
    names = here.engine.people.recognizer.model_names
    return {
        "verified": distance <= threshold,
        "distance": round(distance, 6),
        "threshold": round(threshold, 6),
        "confidence": min(max(round(100 * found.probability, 2), 0.01), 99.99),  # no certainty by rounding
        "model": names["embedder"],
        "detector_backend": names["detector"],
        "similarity_metric": metric,
        "facial_areas": {"img1": _area(found.first), "img2": _area(found.second)},
        "time": round(time.perf_counter() - since, 2),
    }


@router.post(
    "/analyze",
    response_model=AnalyzeAnswer,
    response_model_exclude_none=True,
    responses=_FAILURES,
    openapi_extra=body_of(AnalyzeForm),
)
async def analyze(actor: Reader, here: Here, asked: Annotated[AnalyzeForm, Depends(read(AnalyzeForm))]) -> Any:
    """Say how old each face of a photo looks, and the apparent gender."""
    asked.expect_possible()
    teller = here.engine.people.recognizer.teller
    told = [action for action in ("age", "gender") if teller is not None and action in asked.actions]
    if not told:
        raise RequestInvalid(
            f"actions: the models in use tell nothing of {', '.join(asked.actions)}",
            hint="age and gender are told where the setting `attributes` names a model for them",
        )
    faces = await _faces(here, actor, asked)
    return {
        "results": [_described(face, told) for face in faces],
        "not_told": [action for action in dict.fromkeys(asked.actions) if action not in told],
    }


async def _faces(here: Here, actor: str, asked: RepresentForm | AnalyzeForm) -> Sequence[Face]:
    """The faces of the photo, largest first.

    Raises:
        RequestInvalid: there is none, and there must be.
    """
    found = await here.ask(Describe, actor, asked.img)
    if not found.faces and asked.enforce_detection:
        raise RequestInvalid("Face could not be detected in the photo; set enforce_detection to false to allow that")
    faces: Sequence[Face] = found.faces
    return faces


def _usual_similarity(people: People) -> float:
    """The similarity from which on two faces are taken for one person's."""
    recognizer = people.recognizer
    return recognizer.calibration.threshold(recognizer.settings.fmr or VERIFICATION_FMR)


def _distance(similarity: float, metric: Metric) -> float:
    """Distance of two unit vectors by their cosine: 1 - cos, the angle in half turns, or the chord's length."""
    cosine = min(max(similarity, -1.0), 1.0)
    if metric == "cosine":
        return 1.0 - cosine
    return math.acos(cosine) / math.pi if metric == "angular" else math.sqrt(2.0 - 2.0 * cosine)


def _area(face: Face) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(value) for value in face.box_xyxy_px)
    theirs_right, theirs_left = (np.rint(eye).astype(int).tolist() for eye in face.landmarks_px[:2])
    left, top = max(x1, 0), max(y1, 0)
    return {
        "x": left,
        "y": top,
        "w": x2 - left,
        "h": y2 - top,
        "left_eye": theirs_left,
        "right_eye": theirs_right,
    }


def _described(face: Face, told: Sequence[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"region": _area(face), "face_confidence": round(face.score, 2)}
    if face.age is not None and "age" in told:
        data["age"] = round(face.age.years)
    if face.gender is not None and "gender" in told:
        male = face.gender.probability if face.gender.label == "male" else 1 - face.gender.probability
        data["gender"] = {"Woman": round(100 * (1 - male), 4), "Man": round(100 * male, 4)}
        data["dominant_gender"] = "Man" if face.gender.label == "male" else "Woman"
    return data
