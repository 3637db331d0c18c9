"""Short videos: somebody is enrolled by the good frames of one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Response
from pydantic import Field

from likeness.errors import ExtraMissing, InputError
from likeness.server.access import KeyFirst
from likeness.server.clips import found_clip
from likeness.server.context import Context, Enroller, Here, errors
from likeness.server.enrolling import EnrolFields, enrol, reply_of
from likeness.server.routes.people import IDEMPOTENCY_KEY, Whom
from likeness.server.schemas import EnrolAnswer
from likeness.server.uploads import PhotoField, Picture, body_of, bytes_of, read
from likeness.server.work import Enrol
from likeness.service import EnrolOptions, FoundPhoto
from likeness.service.clips import KEPT
from likeness.vision.video import EVERY_S

router = APIRouter(prefix="/v1", route_class=KeyFirst)

_ANSWERS = errors(404, 409, 413) | {200: {"model": EnrolAnswer, "description": "Nothing new was added."}}


class ClipForm(EnrolFields):
    """A video of somebody, of which the first 15 seconds are looked at."""

    clip: PhotoField
    pick: Literal["only", "largest", "central"] | Annotated[int, Field(ge=1, le=99)] = Field(  # type: ignore[assignment]
        "only", description="Which of several people is meant; a number counts by size, 1 is the largest."
    )
    every_s: float = Field(EVERY_S, ge=0.05, le=5, description="Seconds from one frame looked at to the next.")
    keep: int = Field(KEPT, ge=1, le=64, description="Pictures kept at most.")

    def options(self) -> EnrolOptions:
        """The same as the use cases know it."""
        return replace(super().options(), every_s=self.every_s, keep=self.keep)


class NamedClipForm(ClipForm):
    """A video of somebody new, or who is there already."""

    name: str = Field(min_length=1, max_length=200)


@router.post(
    "/clips",
    response_model=EnrolAnswer,
    response_model_exclude_unset=True,
    status_code=201,
    responses=_ANSWERS,
    openapi_extra=body_of(NamedClipForm) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def create_person_by_clip(
    asked: Annotated[NamedClipForm, Depends(read(NamedClipForm))], actor: Enroller, here: Here, response: Response
) -> Any:
    """Enrol somebody by a short video: the good frames of one person become one face, the best of them its pictures.

    A video of several people is refused until `pick` says who is meant. Answered when it is durable, with what became
    of each frame.
    """
    return await _enrolled(here, actor, asked.name, asked, response)


@router.post(
    "/people/{person}/clips",
    response_model=EnrolAnswer,
    response_model_exclude_unset=True,
    status_code=201,
    responses=_ANSWERS,
    openapi_extra=body_of(ClipForm) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def add_clip(
    person: Whom,
    asked: Annotated[ClipForm, Depends(read(ClipForm))],
    actor: Enroller,
    here: Here,
    response: Response,
) -> Any:
    """Enrol a short video of somebody who is there."""
    known = await here.call(actor, lambda people: people.gallery.person(person))
    return await _enrolled(here, actor, known.name, asked, response)


async def _enrolled(here: Context, actor: str, name: str, asked: ClipForm, response: Response) -> dict[str, Any]:
    async def work(here: Context, name: str, form: EnrolFields, pictures: Sequence[Picture]) -> Enrol:
        return Enrol((await _found(here, actor, name, form.options(), pictures[0]),), form.options())

    enrolled = await enrol(here, actor, name, asked, [asked.clip], work=work)
    return await reply_of(here, actor, enrolled, [asked.clip], response)


async def _found(here: Context, actor: str, name: str, options: EnrolOptions, clip: Picture) -> FoundPhoto:
    try:
        data = await bytes_of(clip, here.fetcher)
        return await found_clip(
            lambda work: asyncio.wrap_future(here.engine.ask(work, actor)),
            here.engine.people,
            clip.name,
            name,
            data,
            options,
        )
    except (InputError, ExtraMissing) as error:
        return FoundPhoto(clip.name, name, error=error)
