"""Photos for the workers: handed in as a job, answered when their turn comes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from likeness.errors import InputError, RequestInvalid
from likeness.intake.answers import job_dict
from likeness.intake.records.values import ArrivalJob
from likeness.server.access import KeyFirst
from likeness.server.context import Here, Reader, errors
from likeness.server.enrolling import digest_of_request
from likeness.server.job_schemas import JobAnswer, JobPhotosAnswer
from likeness.server.routes.people import IDEMPOTENCY_KEY
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
    responses=errors(404, 409, 413, 415),
    openapi_extra=body_of(JobForm) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def create_job(
    form: Annotated[JobForm, Depends(read(JobForm))], actor: Reader, here: Here, response: Response
) -> Any:
    """Hand in photos for the workers; the job's state and the photos' answers are asked for by its id."""
    most = here.settings.serve_photos
    if len(form.photos) > most:
        raise RequestInvalid(f"{len(form.photos)} photos, more than the {most} that one request may bring")
    key = here.request.headers.get("idempotency-key")
    if key is None:
        return job_dict(await _hand_in(here, actor, form))
    job, replayed = await here.replies.to_its_end(_hand_in_once(here, actor, key, form))
    if replayed:
        response.headers["Idempotency-Replayed"] = "true"
    return job_dict(job)


async def _hand_in(here: Here, actor: str, form: JobForm) -> ArrivalJob:
    office = here.arrivals()
    photos = []
    for each in await all_bytes_of(form.photos, here.fetcher):
        if isinstance(each, InputError):
            raise each
        photos.append(each)
    return await run_in_threadpool(office.send, photos, owner=actor, callback=form.callback, again=form.again)


async def _hand_in_once(here: Here, actor: str, key: str, form: JobForm) -> tuple[ArrivalJob, bool]:
    """The job of a request, as it stands now where the same request came before; whether it did."""
    async with here.replies.once(actor, key) as place:
        request = digest_of_request(here, form.model_dump_json(exclude={"photos"}), form.photos)
        kept = await run_in_threadpool(here.replies.find, place, request)
        if kept is not None:
            return await run_in_threadpool(here.arrivals().records.job, kept["job"], owner=actor), True
        job = await _hand_in(here, actor, form)
        await run_in_threadpool(here.replies.keep, place, request, {"job": job.id})
        return job, False


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
