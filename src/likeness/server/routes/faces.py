"""Questions about faces: where they are, whose they are, who looks like them, whether two are one person's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field

from likeness.errors import RequestInvalid
from likeness.server.access import KeyFirst
from likeness.server.context import PHOTO_ERRORS, Here, Reader, errors
from likeness.server.schemas import FacesAnswer, IdentifyAnswer, TwinsAnswer, VerifyAnswer
from likeness.server.uploads import PhotoField, PhotoForm, body_of, read
from likeness.server.work import Compare, Describe, Detect, FindTwins, Identify, Verify

router = APIRouter(prefix="/v1", route_class=KeyFirst)


class FacesForm(PhotoForm):
    """A photo whose faces are asked for."""

    photo: PhotoField
    embeddings: bool = Field(False, description="Give each face's embedding too.")


class IdentifyForm(PhotoForm):
    """A photo of which is asked who is on it."""

    photo: PhotoField
    embeddings: bool = Field(False, description="Give each face's embedding too.")


class TwinsForm(PhotoForm):
    """A photo whose lookalikes are asked for."""

    photo: PhotoField
    k: int = Field(5, ge=1, le=100, description="How many people.")
    pick: Literal["only", "largest", "central"] = Field("largest", description="Which of several faces is meant.")
    others: bool = Field(False, description="Leave out the person whose face it is.")
    exclude: tuple[str, ...] = Field((), max_length=100, description="Ids or names of people passed over.")


class VerifyForm(PhotoForm):
    """A photo, to be compared with a second one, or with a person's best picture."""

    first: PhotoField
    second: PhotoField | None = None
    person: str | None = Field(None, min_length=1, max_length=200, description="Id or name of somebody enrolled.")
    pick: Literal["only", "largest", "central"] = Field("largest", description="Which of several faces is meant.")


@router.post(
    "/faces",
    response_model=FacesAnswer,
    response_model_exclude_unset=True,
    responses=PHOTO_ERRORS,
    openapi_extra=body_of(FacesForm),
)
async def faces(actor: Reader, here: Here, asked: Annotated[FacesForm, Depends(read(FacesForm))]) -> dict[str, Any]:
    """Find and describe the faces of a photo: boxes, landmarks, quality, and apparent age and gender where told."""
    kind = Describe if asked.embeddings else Detect
    found = await here.ask(kind, actor, asked.photo)
    return {"size": found.size_px, "faces": [face.as_dict(embedding=asked.embeddings) for face in found.faces]}


@router.post(
    "/identify",
    response_model=IdentifyAnswer,
    response_model_exclude_unset=True,
    responses=PHOTO_ERRORS,
    openapi_extra=body_of(IdentifyForm),
)
async def identify(
    actor: Reader, here: Here, asked: Annotated[IdentifyForm, Depends(read(IdentifyForm))]
) -> dict[str, Any]:
    """Say who each face of a photo is, with a calibrated probability, or that nobody is near enough."""
    found = await here.ask(Identify, actor, asked.photo)
    return {
        "size": found.photo.size_px,
        "answers": [answer.as_dict(embedding=asked.embeddings) for answer in found.answers],
    }


@router.post(
    "/twins",
    response_model=TwinsAnswer,
    response_model_exclude_unset=True,
    responses=errors(404, 413, 415),
    openapi_extra=body_of(TwinsForm),
)
async def twins(actor: Reader, here: Here, asked: Annotated[TwinsForm, Depends(read(TwinsForm))]) -> Any:
    """Find the people who look most like a face, and how unusual so near a resemblance is here."""

    def work(photos: tuple[bytes, ...]) -> FindTwins:
        return FindTwins(photos, asked.k, asked.pick, asked.exclude, asked.others)

    return (await here.ask(work, actor, asked.photo)).as_dict()


@router.post(
    "/verify",
    response_model=VerifyAnswer,
    response_model_exclude_unset=True,
    responses=errors(404, 413, 415),
    openapi_extra=body_of(VerifyForm),
)
async def verify(actor: Reader, here: Here, asked: Annotated[VerifyForm, Depends(read(VerifyForm))]) -> Any:
    """Say whether two photos show one person, or whether a photo shows somebody who is enrolled."""
    if (asked.second is None) == (asked.person is None):
        raise RequestInvalid("expected either `second`, a photo, or `person`, an id or name")
    if asked.second is not None:
        return (await here.ask(lambda photos: Verify(photos, asked.pick), actor, asked.first, asked.second)).as_dict()
    person = asked.person or ""
    return (await here.ask(lambda photos: Compare(photos, person, asked.pick), actor, asked.first)).as_dict()
