"""Enrolling for every door: a request's photos to the engine, outcomes to plain data, once for each idempotency key."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from likeness.errors import InputError, LikenessError, PersonNotFound, RequestInvalid
from likeness.server.context import Context
from likeness.server.replies import digest_of
from likeness.server.uploads import PhotoField, PhotoForm, Picture, all_bytes_of
from likeness.server.work import Enrol
from likeness.service import EnrolOptions, FoundPhoto, Outcome, People
from likeness.types import Consent, Person


class EnrolFields(PhotoForm):
    """How photos are enrolled."""

    pick: Literal["only", "largest", "central"] = Field("only", description="Which of several faces is meant.")
    gate: bool = Field(True, description="Refuse faces that are too small, blurred, turned … to be found again.")
    consent: str | None = Field(None, min_length=1, max_length=1000, description="Why the data may be kept, in words.")
    consent_source: str = Field("", max_length=1000, description="Through what the consent was given.")
    retain_until: date | None = Field(None, description="The day after which the person must be erased.")

    def options(self) -> EnrolOptions:
        """The same as the use cases know it."""
        consent = None if self.consent is None else Consent(self.consent, datetime.now(UTC), self.consent_source)
        return EnrolOptions(pick=self.pick, gate=self.gate, consent=consent, retain_until=self.retain_until)


class PicturesForm(EnrolFields):
    """Photos of somebody."""

    photos: tuple[PhotoField, ...] = Field(min_length=1, max_length=1000)


class PersonForm(PicturesForm):
    """Somebody new, or who is there already, with photos."""

    name: str = Field(min_length=1, max_length=200)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of photos.

    Attributes:
        outcomes: plain data, one for each photo, without names.
        replayed: it is what was answered before under the same key.
    """

    outcomes: list[dict[str, Any]]
    replayed: bool = False

    @property
    def added(self) -> int:
        """How many photos were added."""
        return sum(outcome["status"] == "added" for outcome in self.outcomes)


Begin = Callable[[Context, str, EnrolFields, Sequence[Picture]], Awaitable[Enrol]]
"""What makes work of a request: whose, how, and of what."""


async def enrol(
    here: Context, actor: str, name: str, form: EnrolFields, pictures: Sequence[Picture], *, work: Begin | None = None
) -> Enrolled:
    """Enrol photos as somebody's; returns when what was added is durable, and known under the request's key.

    Under a key it goes on where the client has left: the answer is there when the request comes again.

    Raises:
        RequestInvalid: more photos than the settings allow, or a key that cannot be used.
        RequestDiffers: the key was used for another request.
        Overloaded, StorageError: nothing is acknowledged; what was enrolled all the same is found as a duplicate.
    """
    most = here.settings.serve_photos
    if len(pictures) > most:
        raise RequestInvalid(
            f"{len(pictures)} photos in one request, of {most} that may (serve_photos)", hint="POST /v1/enrolments"
        )
    key, work = here.request.headers.get("idempotency-key"), work or _work
    if key is not None:
        return await here.replies.to_its_end(_enrol_once(here, actor, key, name, form, pictures, work))
    begun = here.engine.enrol(await work(here, name, form, pictures), actor)
    return Enrolled([plain_outcome(outcome) for outcome in await here.wait(begun)])


async def _enrol_once(
    here: Context, actor: str, key: str, name: str, form: EnrolFields, pictures: Sequence[Picture], work: Begin
) -> Enrolled:
    """Enrol photos, or give what became of them when the same request came before."""
    async with here.replies.once(actor, key) as place:
        request = _digest(here, name, form, pictures)
        kept = await run_in_threadpool(here.replies.find, place, request)
        if kept is not None:
            return Enrolled(kept, replayed=True)
        begun = here.engine.enrol(await work(here, name, form, pictures), actor)
        plain = [plain_outcome(outcome) for outcome in await asyncio.wrap_future(begun)]
        await run_in_threadpool(here.replies.keep, place, request, plain)
        return Enrolled(plain)


async def _work(here: Context, name: str, form: EnrolFields, pictures: Sequence[Picture]) -> Enrol:
    found = await all_bytes_of(tuple(pictures), here.fetcher)
    photos = tuple(found_photo(picture, name, data) for picture, data in zip(pictures, found, strict=True))
    return Enrol(photos, form.options())


def _digest(here: Context, name: str, form: EnrolFields, pictures: Sequence[Picture]) -> bytes:
    return digest_of_request(here, f"{name}\0{form.model_dump_json(exclude={'name', 'photos', 'clip'})}", pictures)


def digest_of_request(here: Context, stated: str, pictures: Sequence[Picture]) -> bytes:
    """A digest of what was asked: of photos by their address that address, whatever is there by now."""
    photos = [part for each in pictures for part in (("data", each.data) if each.url is None else ("url", each.url))]
    return digest_of([here.request.method, here.request.scope["path"], stated, *photos])


def found_photo(picture: Picture, name: str | None, data: bytes | InputError) -> FoundPhoto:
    """A photo as the use cases know it, with the error that kept it from being had."""
    if isinstance(data, bytes):
        return FoundPhoto(picture.name, name, data=data)
    return FoundPhoto(picture.name, name, error=data)


def plain_outcome(outcome: Outcome) -> dict[str, Any]:
    """What became of a photo, without the name and file name, which the request holds."""
    facts = outcome.as_dict()
    kept = ("status", "person_id", "face_id", "quality", "note", "error", "clip")
    return {name: facts[name] for name in kept if facts.get(name) is not None}


def told(outcomes: Sequence[dict[str, Any]], pictures: Sequence[Picture]) -> list[dict[str, Any]]:
    """Outcomes as the API gives them, with which photo each is of."""
    return [
        {"index": index, "photo": picture.name}
        | {name: value for name, value in outcome.items() if name != "person_id"}
        for index, (outcome, picture) in enumerate(zip(outcomes, pictures, strict=True))
    ]


async def answer_of(here: Context, actor: str, enrolled: Enrolled, pictures: Sequence[Picture]) -> dict[str, Any]:
    """The answer to an enrolment.

    Raises:
        LikenessError: not a single photo could be used: the reason of the first, with all of them in the details.
    """
    outcomes = enrolled.outcomes
    photos = told(outcomes, pictures)
    refused = [outcome["error"] for outcome in outcomes if outcome["status"] == "refused"]
    if len(refused) == len(outcomes):
        raise error_of(refused[0], photos=photos)
    person_id = next(outcome["person_id"] for outcome in outcomes if "person_id" in outcome)

    def person(people: People) -> Person | None:
        try:
            return people.gallery.person(person_id)
        except PersonNotFound:
            return None  # erased since

    held = await here.call(actor, person)
    return {
        "person": None if held is None else held.as_dict(),
        "photos": photos,
        "added": enrolled.added,
        "refused": len(refused),
    }


async def reply_of(
    here: Context, actor: str, enrolled: Enrolled, pictures: Sequence[Picture], response: Response
) -> dict[str, Any]:
    """The answer to an enrolment, as `answer_of`, and what its status and headers say of it."""
    if enrolled.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    if not enrolled.added:
        response.status_code = 200
    return await answer_of(here, actor, enrolled, pictures)


def error_of(reason: Mapping[str, str], **details: Any) -> LikenessError:
    """The error that refused a photo, from its plain data; `details` are added to what clients are told."""
    kinds = {kind.code: kind for kind in _all_below(LikenessError)}
    kind = kinds.get(reason["code"], InputError)
    error = kind(reason["message"], hint=reason.get("hint"))
    error.details = details  # type: ignore[attr-defined]
    return error


def _all_below(kind: type[LikenessError]) -> list[type[LikenessError]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *_all_below(sub))]
