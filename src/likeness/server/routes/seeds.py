"""The two calls that the first services of this kind had, in their exact shapes; errors: `{"error": true, "msg"}`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from likeness.server.access import KeyFirst
from likeness.server.context import Enroller, Here, Reader, errors
from likeness.server.enrolling import EnrolFields, answer_of, enrol
from likeness.server.failures import Failure, Shape
from likeness.server.schemas import Answering, Unit
from likeness.server.uploads import PhotoField, PhotoForm, body_of, read
from likeness.server.work import Largest


class SeedFailed(Answering):
    """As the first services of this kind told an error."""

    error: Literal[True]
    msg: str


ERRORS = errors(409, 413, 415, model=SeedFailed)

router = APIRouter(prefix="/api/v1", route_class=KeyFirst)


class SeedCreated(Answering):
    """As the first services of this kind answered."""

    error: Literal[False] = False
    msg: Literal["Created"] = "Created"


class SeedPrediction(Answering):
    """Who it is (null: nobody), and the calibrated probability of that."""

    pred: str | None
    proba: Unit


class SeedRecognized(Answering):
    """As the first services of this kind answered."""

    error: Literal[False] = False
    results: SeedPrediction


class IndexForm(PhotoForm):
    """A photo and whom it shows."""

    image: PhotoField
    name: str = Field(min_length=1, max_length=200)


class RecognizeForm(PhotoForm):
    """A photo of somebody."""

    image: PhotoField


@router.post(
    "/index",
    response_model=SeedCreated,
    responses=ERRORS,
    openapi_extra=body_of(IndexForm),
)
async def index(asked: Annotated[IndexForm, Depends(read(IndexForm))], actor: Enroller, here: Here) -> dict[str, Any]:
    """Enrol a photo under a name; answered when it is durable."""
    enrolled = await enrol(here, actor, asked.name, EnrolFields(), [asked.image])
    await answer_of(here, actor, enrolled, [asked.image])
    return {"error": False, "msg": "Created"}


@router.post(
    "/recognize",
    response_model=SeedRecognized,
    responses=ERRORS,
    openapi_extra=body_of(RecognizeForm),
)
async def recognize(
    asked: Annotated[RecognizeForm, Depends(read(RecognizeForm))], actor: Reader, here: Here
) -> dict[str, Any]:
    """Say who the largest face of a photo is: `pred` is null where nobody matches, `proba` of the likeliest person."""
    answer = (await here.ask(Largest, actor, asked.image)).as_dict()
    person = answer["person"]
    return {
        "error": False,
        "results": {"pred": None if person is None else person["name"], "proba": answer["probability"] or 0.0},
    }


def _shape(failure: Failure, request_id: str) -> dict[str, Any]:
    return {"error": True, "msg": failure.message}


SHAPES: dict[str, Shape] = {"/api/v1/index": _shape, "/api/v1/recognize": _shape}
"""How errors of these calls look."""
