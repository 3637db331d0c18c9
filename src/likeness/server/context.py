"""What a route works with: the engine, the settings, who asks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel

from likeness.errors import ArrivalsOff
from likeness.server.access import require
from likeness.server.engine import Engine, outcome
from likeness.server.fetching import Fetcher
from likeness.server.jobs import Jobs
from likeness.server.replies import Replies
from likeness.server.schemas import ErrorAnswer
from likeness.server.uploads import Picture, bytes_of
from likeness.server.work import Work
from likeness.service import People
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.intake.office import Office

R = TypeVar("R")

Reader = Annotated[str, Depends(require("read"))]
Enroller = Annotated[str, Depends(require("enrol"))]
Admin = Annotated[str, Depends(require("admin"))]
"""Who asks, for the audit trail, once their key allows it."""


@dataclass(frozen=True, slots=True)
class Context:
    """A request, and the server that answers it."""

    request: Request
    engine: Engine
    settings: Settings
    jobs: Jobs
    replies: Replies
    fetcher: Fetcher
    office: Office | None

    async def wait(self, future: Future[R]) -> R:
        """The outcome of work; see `likeness.server.engine.outcome`."""
        return await outcome(future, self.request)

    async def ask(self, kind: Callable[[tuple[bytes, ...]], Work], actor: str, *pictures: Picture) -> Any:
        """The answer about photos; `kind` makes the work of their bytes."""
        photos = tuple([await bytes_of(picture, self.fetcher) for picture in pictures])
        return await self.wait(self.engine.ask(kind(photos), actor))

    def arrivals(self) -> Office:
        """Where photos for the workers are handed in.

        Raises:
            ArrivalsOff: this server takes none.
        """
        if self.office is None:
            raise ArrivalsOff("this server takes no photos for workers", hint="its operator starts it with --workers")
        return self.office

    def owner(self, actor: str) -> str | None:
        """Whose jobs are shown to the one who asks: their own; None, all, to those who may look after the server."""
        return None if self.request.scope.get("likeness.scope") == "admin" else actor

    async def call(self, actor: str, function: Callable[[People], R]) -> R:
        """Something small with the gallery, in the actor's name."""
        people = self.engine.people.acting_as(actor)
        return await self.wait(self.engine.call(lambda: function(people)))

    async def ask_elsewhere(self, actor: str, function: Callable[[People], R]) -> R:
        """Something that asks another server, in the actor's name."""
        people = self.engine.people.acting_as(actor)
        return await self.wait(self.engine.ask_elsewhere(lambda: function(people)))


def context_of(request: Request) -> Context:
    """The context of a request."""
    state = request.app.state
    return Context(request, state.engine, state.settings, state.jobs, state.replies, state.fetcher, state.office)


Here = Annotated[Context, Depends(context_of)]

_WORDS = {
    400: "The request cannot be read, or not be answered as it is.",
    401: "The API key is missing, unknown, expired or revoked.",
    403: "The API key does not allow this.",
    404: "What was named is not there.",
    409: "It contradicts what is stored.",
    413: "The request or a photo is too large.",
    415: "Not a kind of photo, or of request, that is read.",
    422: "A field or a photo cannot be used; the error says why.",
    429: "Too many requests.",
    503: "Busy, or about to end: come again after Retry-After seconds.",
}


_ALWAYS = (400, 401, 403, 422, 429, 503)


def errors(
    *statuses: int, model: type[BaseModel] = ErrorAnswer, always: tuple[int, ...] = _ALWAYS
) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of a route's errors: these, and those that every route may give; `model` is their shape."""
    return {status: {"model": model, "description": _WORDS[status]} for status in sorted({*statuses, *always})}


PHOTO_ERRORS = errors(413, 415)
"""Of routes that look at photos."""
