"""Photos for the workers: handed in as a job, answered when their turn comes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from likeness.errors import InputError, RequestInvalid
from likeness.intake.answers import job_dict
from likeness.server.access import KeyFirst
from likeness.server.context import Here, Reader, errors
from likeness.server.schemas import JobAnswer, JobPhotosAnswer
from likeness.server.uploads import PhotoField, PhotoForm, all_bytes_of, body_of, read

router = APIRouter(prefix="/v1/jobs", route_class=KeyFirst)


class JobForm(PhotoForm):
    """Photos whose faces are to be identified by workers."""

    photos: tuple[PhotoField, ...] = Field(min_length=1, max_length=1000)
    callback: str | None = Field(
        None, max_length=2000, description="Who is told, signed, of each answer and of the end; on allowed hosts only."
    )
    again: bool = Field(False, description="Answer anew what was answered before: each file has one answer else.")


@router.post(
    "",
    response_model=JobAnswer,
    status_code=202,
    responses=errors(404, 413, 415),
    openapi_extra=body_of(JobForm),
)
async def create_job(form: Annotated[JobForm, Depends(read(JobForm))], actor: Reader, here: Here) -> Any:
    """Hand in photos for the workers; the job's state and the photos' answers are asked for by its id."""
    most = here.settings.serve_photos
    if len(form.photos) > most:
        raise RequestInvalid(f"{len(form.photos)} photos, more than the {most} that one request may bring")
    office = here.arrivals()
    photos = []
    for each in await all_bytes_of(form.photos, here.fetcher):
        if isinstance(each, InputError):
            raise each
        photos.append(each)
    return job_dict(await run_in_threadpool(office.send, photos, owner=actor, callback=form.callback, again=form.again))


@router.get("/{job}/photos", response_model=JobPhotosAnswer, responses=errors(404))
async def list_job_photos(
    job: Annotated[str, Path(min_length=1, max_length=64)],
    actor: Reader,
    here: Here,
    after: Annotated[int, Query(ge=-1, lt=2**31, description="The place of the last photo that was seen.")] = -1,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Any:
    """List the photos of a job that workers do, in order, each with its answer or the reason why it has none."""
    photos = await run_in_threadpool(here.arrivals().photos, job, owner=here.owner(actor), after=after, most=limit + 1)
    return {"photos": photos[:limit], "after": photos[limit - 1]["place"] if len(photos) > limit else None}
