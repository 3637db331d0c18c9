"""Long work: what is queued and done, and ending it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.concurrency import run_in_threadpool

from likeness.errors import JobNotFound
from likeness.intake.answers import job_dict
from likeness.server.access import KeyFirst
from likeness.server.context import Here, Reader, errors
from likeness.server.job_schemas import JobAnswer, JobsAnswer

router = APIRouter(prefix="/v1/jobs", route_class=KeyFirst)

JobId = Annotated[str, Path(min_length=1, max_length=64)]


@router.get("", response_model=JobsAnswer, responses=errors())
async def list_jobs(actor: Reader, here: Here) -> dict[str, Any]:
    """List the latest jobs, newest first: your own; with an admin's key all."""
    own = [job.as_dict() for job in here.jobs.latest(owner=here.owner(actor))]
    if here.office is not None:
        found = await run_in_threadpool(here.office.records.jobs, owner=here.owner(actor))
        own = sorted(own + [job_dict(job) for job in found], key=lambda job: job["created_at"], reverse=True)
    return {"jobs": own}


@router.get("/{job}", response_model=JobAnswer, responses=errors(404))
async def show_job(job: JobId, actor: Reader, here: Here) -> Any:
    """Show a job's state, progress and result."""
    try:
        return here.jobs.get(job, owner=here.owner(actor)).as_dict()
    except JobNotFound:
        if here.office is None:
            raise
        return job_dict(await run_in_threadpool(here.office.records.job, job, owner=here.owner(actor)))


@router.delete("/{job}", response_model=JobAnswer, responses=errors(404))
async def cancel_job(job: JobId, actor: Reader, here: Here) -> Any:
    """End a job: at once where it waits; where it runs, at its next step, keeping what is done."""
    try:
        return here.jobs.cancel(here.jobs.get(job, owner=here.owner(actor))).as_dict()
    except JobNotFound:
        if here.office is None:
            raise
        return job_dict(await run_in_threadpool(here.office.cancel, job, owner=here.owner(actor)))
