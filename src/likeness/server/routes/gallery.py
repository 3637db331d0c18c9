"""The gallery as a whole, and the long work on it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from likeness.errors import InputError, NameMissing, RequestInvalid
from likeness.recognizer import Recognizer
from likeness.server.access import KeyFirst
from likeness.server.context import Admin, Context, Enroller, Here, Reader, errors
from likeness.server.enrolling import EnrolFields, found_photo, plain_outcome
from likeness.server.job_schemas import JobAnswer
from likeness.server.jobs import Job
from likeness.server.schemas import GalleryAnswer
from likeness.server.uploads import PhotoField, Picture, all_bytes_of, body_of, read
from likeness.service import FoundPhoto, People, purging
from likeness.service.models import all_models
from likeness.service.photos import name_from_folder

router = APIRouter(prefix="/v1", route_class=KeyFirst)


class ReEmbed(BaseModel):
    """With which model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: str | None = Field(None, min_length=1, max_length=200, description="Name of an embedder; the present one.")


class Purge(BaseModel):
    """How to enforce retention."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dry_run: bool = Field(False, description="Only tell who is due.")


class EnrolmentForm(EnrolFields):
    """Photos of many people."""

    name: str | None = Field(None, min_length=1, max_length=200, description="Whom all of `photos` show.")
    photos: tuple[PhotoField, ...] = Field(
        (), max_length=1000, description="Without `name` each file's name says whom it shows: `Nadia Okafor/1.jpg`."
    )
    people: dict[str, tuple[PhotoField, ...]] = Field({}, description="Photos by name; in JSON only.")


@router.get("/gallery", response_model=GalleryAnswer, responses=errors())
async def gallery(actor: Reader, here: Here) -> dict[str, Any]:
    """Say what the gallery holds and how it answers."""
    info = await here.call(actor, lambda people: people.gallery.info())
    return {
        "engine": info.engine,
        "space": info.space,
        "dimension": info.dimension,
        "people": info.people,
        "faces": info.faces,
        "index": info.index,
        "bytes_on_disk": info.bytes_on_disk,
        "snapshots": info.details.get("snapshots"),
        "readonly": bool(info.details.get("readonly", False)),
    }


@router.post("/gallery/snapshots", response_model=JobAnswer, status_code=202, responses=errors())
async def snapshot(actor: Admin, here: Here) -> Any:
    """Write a whole copy of the gallery beside it on the server, while others go on; a job."""

    def work(job: Job) -> dict[str, Any]:
        path = here.engine.people.acting_as(actor).snapshot()
        return {"name": path.name, "bytes": path.stat().st_size}

    return here.jobs.begin(Job("snapshot", actor, work)).as_dict()


@router.post("/gallery/check", response_model=JobAnswer, status_code=202, responses=errors())
async def check(actor: Admin, here: Here) -> Any:
    """Verify record, index and audit trail; a job."""

    def work(job: Job) -> dict[str, Any]:
        findings = here.engine.people.check()
        return {"ok": all(found.ok for found in findings), "findings": {found.name: found.ok for found in findings}}

    return here.jobs.begin(Job("check", actor, work)).as_dict()


@router.post("/gallery/purge", response_model=JobAnswer, status_code=202, responses=errors(413))
async def purge_people(actor: Admin, here: Here, asked: Annotated[Purge, Body()]) -> Any:
    """Erase everybody whose retention date has passed; a job. One who cannot be erased keeps nobody else."""

    def work(job: Job) -> dict[str, Any]:
        people = here.engine.people.acting_as(actor)
        due = purging.due(people)
        ids = [person.id for person in due]
        if asked.dry_run:
            return {"due": ids, "erased": 0, "failed": []}
        failed: list[dict[str, str]] = []
        done = 0
        for done, fate in enumerate(purging.purge(people, stop=job.stop.is_set), start=1):
            failed += [] if fate.error is None else [{"person_id": fate.person.id, "code": fate.error.code}]
            job.progress(done, max(done, len(ids)))
        return {"due": ids, "erased": done - len(failed), "failed": failed}

    return here.jobs.begin(Job("purge", actor, work)).as_dict()


@router.post("/gallery/re-embed", response_model=JobAnswer, status_code=202, responses=errors(404, 413))
async def re_embed(actor: Admin, here: Here, asked: Annotated[ReEmbed, Body()]) -> Any:
    """Compute all embeddings anew with a model, and go on with it; a job.

    Searches answer in the old space until all is done. A run that was stopped goes on where it was. The setting
    `embedder` must name that model when the server starts the next time.
    """
    settings = here.settings
    if asked.model is not None:
        if asked.model not in {facts.name for facts in all_models(settings.library())}:
            raise RequestInvalid(f"there is no model {asked.model!r}", hint="GET /v1/models lists them")
        settings = settings.model_copy(update={"embedder": asked.model})

    def work(job: Job) -> dict[str, Any]:
        recognizer = Recognizer(settings, threads=1)
        people = People(here.engine.people.gallery, recognizer, actor=actor)
        _ = recognizer.calibration
        count = people.reembed(progress=job.progress)
        here.engine.switch(people)
        return {"embedded": count, "space": recognizer.space}

    return here.jobs.begin(Job("re-embed", actor, work)).as_dict()


@router.post(
    "/enrolments",
    response_model=JobAnswer,
    status_code=202,
    responses=errors(413, 415),
    openapi_extra=body_of(EnrolmentForm),
)
async def enrol_many(asked: Annotated[EnrolmentForm, Depends(read(EnrolmentForm))], actor: Enroller, here: Here) -> Any:
    """Enrol photos of many people; a job, whose result tells what became of each photo."""
    photos = await _photos(here, asked)
    options = asked.options()

    def work(job: Job) -> dict[str, Any]:
        people = here.engine.people.acting_as(actor)
        outcomes: list[dict[str, Any]] = []
        for outcome in people.enroll(photos, options, stop=job.stop.is_set):
            outcomes.append(
                {"index": len(outcomes), "photo": outcome.path, "name": outcome.name} | plain_outcome(outcome)
            )
            job.done = len(outcomes)
        counts = {status: sum(o["status"] == status for o in outcomes) for status in ("added", "duplicate", "refused")}
        return {**counts, "photos": outcomes}

    return here.jobs.begin(Job("enrol", actor, work, total=len(photos))).as_dict()


async def _photos(here: Context, asked: EnrolmentForm) -> list[FoundPhoto]:
    named: list[tuple[str | None, Picture]] = [(asked.name or name_from_folder(p.folder), p) for p in asked.photos]
    named += [(name, picture) for name, pictures in asked.people.items() for picture in pictures]
    if not named:
        raise RequestInvalid("there is no photo in the request")
    found = await all_bytes_of(tuple(picture for _, picture in named), here.fetcher)
    return [
        found_photo(picture, name, data if name is not None else _nameless(picture))
        for (name, picture), data in zip(named, found, strict=True)
    ]


def _nameless(picture: Picture) -> InputError:
    return NameMissing("nothing says whom the photo shows", hint="give `name`, or call the file `Nadia Okafor/1.jpg`")
