"""The people of the gallery: list, show, enrol, rename, merge, describe, erase."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import UTC, date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from likeness.errors import RequestInvalid
from likeness.server.access import KeyFirst
from likeness.server.context import Admin, Enroller, Here, Reader, errors
from likeness.server.enrolling import PersonForm, PicturesForm, enrol, reply_of
from likeness.server.schemas import (
    EnrolAnswer,
    ErasedAnswer,
    PeopleAnswer,
    PersonAnswer,
    PersonWithPictures,
    PictureAnswer,
    ProfileAnswer,
)
from likeness.server.uploads import body_of, read
from likeness.service import Forgotten, People
from likeness.service.consent import state_consent, withdraw_consent
from likeness.service.proving import forget_with_proof
from likeness.types import Person

router = APIRouter(prefix="/v1/people", route_class=KeyFirst)

Whom = Annotated[str, Path(description="A person's id, or name.", min_length=1, max_length=200)]
FaceId = Annotated[int, Path(description="Number of an enrolled picture.", ge=0, lt=2**63)]
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    "description": "Sent again with the same request, that is answered as before and not done twice; kept for a day.",
}


class Plain(BaseModel):
    """Base of JSON bodies."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Rename(Plain):
    """A person's new name."""

    name: str = Field(min_length=1, max_length=200)


class Merge(Plain):
    """Whose the faces become."""

    into: str = Field(min_length=1, max_length=200, description="Id or name of the person who stays.")


class ConsentGiven(BaseModel):
    """Why somebody's data may be kept."""

    model_config = ConfigDict(extra="forbid")

    basis: str = Field(min_length=1, max_length=1000, description="In words.")
    source: str = Field("", max_length=1000, description="Through what it was given.")
    retain_until: date | None = Field(None, description="The day after which the person must be erased.")


class ProfileChange(Plain):
    """Keys of a profile card to put and to remove."""

    put: dict[str, Any] = {}
    remove: list[str] = []


@router.post(
    "",
    response_model=EnrolAnswer,
    response_model_exclude_unset=True,
    status_code=201,
    responses=errors(409, 413, 415) | {200: {"model": EnrolAnswer, "description": "Nothing new was added."}},
    openapi_extra=body_of(PersonForm) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def create_person(
    asked: Annotated[PersonForm, Depends(read(PersonForm))], actor: Enroller, here: Here, response: Response
) -> Any:
    """Enrol somebody by photos. Photos that cannot be used are told with their reasons; the others are enrolled.

    Answered when the photos are durable. Whoever is there already under that name gets the photos added.
    """
    return await _enrolled(here, actor, asked.name, asked, response)


@router.post(
    "/{person}/pictures",
    response_model=EnrolAnswer,
    response_model_exclude_unset=True,
    status_code=201,
    responses=errors(404, 409, 413, 415) | {200: {"model": EnrolAnswer, "description": "Nothing new was added."}},
    openapi_extra=body_of(PicturesForm) | {"parameters": [IDEMPOTENCY_KEY]},
)
async def add_pictures(
    person: Whom,
    asked: Annotated[PicturesForm, Depends(read(PicturesForm))],
    actor: Enroller,
    here: Here,
    response: Response,
) -> Any:
    """Enrol more photos of somebody who is there."""
    known = await here.call(actor, lambda people: people.gallery.person(person))
    return await _enrolled(here, actor, known.name, asked, response)


async def _enrolled(here: Here, actor: str, name: str, asked: PicturesForm, response: Response) -> dict[str, Any]:
    enrolled = await enrol(here, actor, name, asked, asked.photos)
    return await reply_of(here, actor, enrolled, asked.photos, response)


@router.get("", response_model=PeopleAnswer, responses=errors())
async def list_people(
    actor: Reader,
    here: Here,
    query: Annotated[str, Query(max_length=200, description="Part of the name.")] = "",
    after: Annotated[str | None, Query(max_length=1000, description="Cursor: `next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> dict[str, Any]:
    """List people by name, a page at a time."""
    place = None if after is None else _place(after)
    found = await here.call(actor, lambda people: people.gallery.people(query=query, after=place, limit=limit + 1))
    page = found[:limit]
    return {
        "people": [person.as_dict() for person in page],
        "next": _cursor(page[-1]) if len(found) > limit else None,
    }


@router.get("/{person}", response_model=PersonWithPictures, responses=errors(404))
async def show_person(person: Whom, actor: Reader, here: Here) -> Any:
    """Show a person with the facts of their pictures."""
    return await here.call(actor, lambda people: people.show(person))


@router.patch("/{person}", response_model=PersonAnswer, responses=errors(404, 409, 413))
async def rename_person(person: Whom, change: Rename, actor: Enroller, here: Here) -> Any:
    """Give a person another name."""
    return (await here.call(actor, lambda people: people.rename(person, change.name))).as_dict()


@router.post("/{person}/merge", response_model=PersonAnswer, responses=errors(404, 413))
async def merge_people(person: Whom, merge: Merge, actor: Enroller, here: Here) -> Any:
    """Give all faces of a person to another one, whose name stays."""
    return (await here.call(actor, lambda people: people.merge(person, merge.into))).as_dict()


@router.delete("/{person}", response_model=ErasedAnswer, responses=errors(404))
async def erase_person(
    person: Whom,
    actor: Admin,
    here: Here,
    prove: Annotated[bool, Query(description="Then look for their bytes in every file of the gallery.")] = False,
) -> Any:
    """Erase a person from record, index and snapshots; answered when it is done, with what it reached."""
    if not prove:
        return _erased(await here.call(actor, lambda people: people.forget(person)))
    proof = await here.call(actor, lambda people: forget_with_proof(people, person))
    told = proof.as_dict()["proof"]
    del told["files_found_in"]  # this machine's paths
    return _erased(proof.forgotten) | {"proof": told}


@router.put("/{person}/consent", response_model=PersonAnswer, responses=errors(404, 413))
async def record_consent(person: Whom, given: ConsentGiven, actor: Enroller, here: Here) -> Any:
    """Record why a person's data may be kept, and until when."""

    def work(people: People) -> Person:
        return state_consent(people, person, given.basis, given.source, given.retain_until)

    return (await here.call(actor, work)).as_dict()


@router.delete("/{person}/consent", response_model=PersonAnswer, responses=errors(404))
async def take_consent_back(person: Whom, actor: Admin, here: Here) -> Any:
    """Record that a person took their consent back: the next purge erases them."""
    return (await here.call(actor, lambda people: withdraw_consent(people, person))).as_dict()


@router.get("/{person}/pictures", response_model=list[PictureAnswer], responses=errors(404))
async def list_pictures(person: Whom, actor: Reader, here: Here) -> Any:
    """List the facts of a person's pictures."""
    return (await here.call(actor, lambda people: people.show(person)))["pictures"]


@router.get(
    "/{person}/pictures/{face}",
    response_class=Response,
    responses=errors(404) | {200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def show_picture(person: Whom, face: FaceId, actor: Reader, here: Here) -> Response:
    """Give an enrolled picture: the aligned face, as JPEG."""
    picture = await here.call(actor, lambda people: people.picture(people.gallery.person(person).id, face))
    return Response(picture, media_type="image/jpeg")


@router.delete("/{person}/pictures/{face}", response_model=ErasedAnswer, responses=errors(404))
async def erase_picture(person: Whom, face: FaceId, actor: Admin, here: Here) -> Any:
    """Erase one picture of a person, who stays."""
    return _erased(await here.call(actor, lambda people: people.forget_picture(person, face)))


@router.get("/{person}/profile", response_model=ProfileAnswer, responses=errors(404))
async def show_profile(
    person: Whom,
    actor: Reader,
    here: Here,
    look_up: Annotated[
        bool, Query(description="Ask the sources of the setting `profiles` too, which are told the name.")
    ] = False,
) -> dict[str, Any]:
    """Show a person's profile card."""
    if look_up and not here.settings.profiles:
        raise RequestInvalid("no source of profile cards is switched on", hint="the setting profiles names them")
    held = await here.call(actor, lambda people: people.profile(person))
    card = await here.ask_elsewhere(actor, lambda people: people.look_up(person)) if look_up else None
    return {
        "id": held.id,
        "name": held.name,
        "profile": held.profile,
        "looked_up": None if card is None else card.as_dict(),
    }


@router.put("/{person}/profile", response_model=ProfileAnswer, responses=errors(404, 413))
async def replace_profile(person: Whom, card: Annotated[dict[str, Any], Body()], actor: Enroller, here: Here) -> Any:
    """Take another profile card in place of the one that is there."""
    return _profile(await here.call(actor, lambda people: people.change_profile(person, whole=card)))


@router.patch("/{person}/profile", response_model=ProfileAnswer, responses=errors(404, 413))
async def change_profile(person: Whom, change: ProfileChange, actor: Enroller, here: Here) -> Any:
    """Put and remove keys of a person's profile card; of two who put different keys at once, both win."""
    held = await here.call(actor, lambda people: people.change_profile(person, put=change.put, remove=change.remove))
    return _profile(held)


def _profile(person: Person) -> dict[str, Any]:
    return {"id": person.id, "name": person.name, "profile": person.profile, "looked_up": None}


def _erased(forgotten: Forgotten) -> dict[str, Any]:
    """Without the paths of snapshots, which are this machine's."""
    return {
        "person_id": forgotten.person_id,
        "faces_erased": forgotten.faces,
        "snapshots_purged": len(forgotten.snapshots_purged),
        "snapshots_not_found": len(forgotten.snapshots_not_found),
    }


def _cursor(person: Person) -> str:
    return base64.urlsafe_b64encode(json.dumps([person.name, person.id]).encode()).decode()


def _place(cursor: str) -> Person:
    """The place in the list that a cursor marks, also after whoever stood there was erased.

    Raises:
        RequestInvalid: it is no cursor.
    """
    try:
        name, person_id = json.loads(base64.urlsafe_b64decode(cursor.encode("ascii")))
        if not (isinstance(name, str) and isinstance(person_id, str)):
            raise ValueError
        (name + person_id).encode()
        return Person(person_id, name, 0, datetime.now(UTC))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise RequestInvalid("`after` is no cursor", hint="give `next` of the page before, as it is") from None
