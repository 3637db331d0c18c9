"""What pages work with: the server's engine, in the name of whoever signed in, within what their key allows."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool

from likeness.errors import InputError, LikenessError, PhotoMissing
from likeness.server.engine import Engine
from likeness.server.keys import Scope
from likeness.server.ui.door import Sessions
from likeness.server.ui.markup import error_card, unforeseen_card
from likeness.server.ui.uploads import read_upload
from likeness.server.work import Enrol, Work
from likeness.service import Outcome, People
from likeness.settings import Settings

log = logging.getLogger("likeness.server")

R = TypeVar("R")
Handler = Callable[..., Coroutine[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class Desk:
    """A server, as its pages see it.

    Attributes:
        app: whose engine answers; it is opened when the server starts, after the pages are made.
        examples: photos to try, by whom they show; none where the samples are not there.
    """

    app: FastAPI
    settings: Settings
    sessions: Sessions
    examples: tuple[tuple[str, Path], ...] = ()

    @property
    def engine(self) -> Engine:
        """The server's engine."""
        engine: Engine = self.app.state.engine
        return engine

    def actor(self, request: gr.Request, scope: Scope) -> str:
        """Who asks, for the audit trail, once their key allows it.

        Raises:
            KeyMissing, KeyInvalid, ScopeMissing: it does not.
        """
        secret = self.sessions.secret(request.request.cookies)
        return str(self.app.state.access.caller(secret, scope)[0])

    def owner(self, request: gr.Request) -> str | None:
        """Whose jobs the one who asks may see: None, everybody's, with a key of an admin, else their own.

        Raises:
            KeyMissing, KeyInvalid: they may see none.
        """
        secret = self.sessions.secret(request.request.cookies)
        actor, scope = self.app.state.access.caller(secret, "read")
        return None if scope == "admin" else str(actor)

    async def ask(self, work: Work, actor: str) -> Any:
        """The answer about photos."""
        return await asyncio.wrap_future(self.engine.ask(work, actor))

    async def enrol(self, work: Enrol, actor: str) -> list[Outcome]:
        """The outcomes of enrolling photos, each durable."""
        return await asyncio.wrap_future(self.engine.enrol(work, actor))

    async def call(self, actor: str, function: Callable[[People], R]) -> R:
        """Something small with the gallery, in the actor's name."""
        people = self.engine.people.acting_as(actor)
        return await asyncio.wrap_future(self.engine.call(lambda: function(people)))

    async def ask_elsewhere(self, actor: str, function: Callable[[People], R]) -> R:
        """Something that may ask another server, in the actor's name."""
        people = self.engine.people.acting_as(actor)
        return await asyncio.wrap_future(self.engine.ask_elsewhere(lambda: function(people)))


def told(shape: Callable[[str], Any] = lambda markup: markup) -> Callable[[Handler], Handler]:
    """A decorator of what a page does: an error becomes a card in plain words, put into the outputs by `shape`."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def answered(*args: Any, **kwargs: Any) -> Any:
            try:
                return await handler(*args, **kwargs)
            except LikenessError as error:
                return shape(error_card(error))
            except Exception as error:
                log.error("unexpected", exc_info=error)
                return shape(unforeseen_card())

        return answered

    return decorate


async def bytes_at(path: str | None, what: str = "photo") -> bytes:
    """The bytes of an upload, which lies in the server's folder for them; no other file is read, whatever is asked.

    Raises:
        InputError: nothing was given.
        PhotoMissing: uploads are kept for a while only, and this one is gone, or was never there.
    """
    if not path:
        raise InputError(f"there is no {what} yet", hint=f"choose a {what}, or take one with the camera")
    try:
        return await run_in_threadpool(read_upload, path)
    except (OSError, ValueError):
        raise PhotoMissing(
            f"the {what} is no longer here", hint="uploads are kept for a while: choose it again"
        ) from None


async def all_bytes_at(paths: Sequence[str] | None) -> list[tuple[str, bytes]]:
    """The names and bytes of several uploads. Raises as `bytes_at`."""
    return [(Path(path).name, await bytes_at(path)) for path in paths or ()]
