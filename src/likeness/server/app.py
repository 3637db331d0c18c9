"""The app: routers, what stands around them, and what is opened and closed with it.

```python
from likeness.server.app import create_app

app = create_app(settings)  # any ASGI server runs it: one process, whose engine takes all cores
```
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Scope

import likeness
from likeness.errors import ExtraMissing
from likeness.intake.erasure import Written
from likeness.recognizer import Recognizer
from likeness.server.access import Access, secret_of
from likeness.server.engine import Engine
from likeness.server.failures import Shape, handle_failures
from likeness.server.fetching import Fetcher
from likeness.server.jobs import Jobs
from likeness.server.keys import KeyStore
from likeness.server.limits import add_limits, address_of
from likeness.server.metrics import Metrics
from likeness.server.middleware import HEALTH, Guard
from likeness.server.pulse import Pulse
from likeness.server.refusals import Refusals
from likeness.server.replies import Replies
from likeness.server.routes import arrivals, clips, faces, gallery, health, job_photos, jobs, models, people, seeds
from likeness.service import open_people
from likeness.settings import Settings

if TYPE_CHECKING:
    from likeness.intake.office import Office

log = logging.getLogger("likeness.server")

NATIVE: tuple[APIRouter, ...] = tuple(
    module.router for module in (faces, people, clips, gallery, models, job_photos, arrivals, jobs, health, seeds)
)


@dataclass(frozen=True, slots=True)
class Part:
    """Routes that are not native: a compatible router, or a web app.

    Attributes:
        routers: included as they are, with their own prefixes.
        shapes: how errors look below a prefix of the path.
        mount: called with the app, for what is more than a router.
        policies: content security policy by the prefix of the path, where there are pages.
        uncounted: prefixes of the paths of files that are the same for everybody: no rate limit.
    """

    routers: tuple[APIRouter, ...] = ()
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    mount: Callable[[FastAPI], FastAPI | None] | None = None
    policies: Mapping[str, str] = field(default_factory=dict)
    uncounted: tuple[str, ...] = ()


def create_app(
    settings: Settings | None = None,
    *,
    keys: KeyStore | None = None,
    open_access: bool = False,
    tls: bool = False,
    parts: Iterable[Part] = (),
) -> FastAPI:
    """The app, whose engine and gallery are opened when it starts and closed when it ends.

    Args:
        settings: None takes `Settings.load()`.
        keys: the API keys; None takes the file of the settings.
        open_access: ask for no key; only for a server bound to this machine alone.
        tls: the server speaks TLS itself.
        parts: compatible routers and the web app, where asked for.
    """
    settings = settings or Settings.load()
    parts = tuple(parts)
    metrics = Metrics()

    app = FastAPI(
        title="Likeness",
        version=likeness.__version__,
        summary="Face recognition you own: people, lookalikes and honest probabilities.",
        lifespan=_life(settings, metrics, keys, open_access),
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,  # `DELETE …/subjects/` with a name forgotten must not become `DELETE …/subjects`
    )
    app.state.settings, app.state.metrics, app.state.not_started = settings, metrics, None
    app.state.ending = []  # called when the server begins to end, before it waits for what is being answered
    app.state.shapes = seeds.SHAPES | {prefix: shape for part in parts for prefix, shape in part.shapes.items()}
    handle_failures(app)
    for router in (*NATIVE, *(router for part in parts for router in part.routers)):
        app.include_router(router)
    for part in parts:
        if part.mount is not None:
            app = part.mount(app) or app
    free = tuple(prefix for part in parts for prefix in part.uncounted)
    add_limits(
        app,
        settings,
        caller=_caller(app),
        covers=lambda path: path not in HEALTH and not path.startswith(free),
    )
    policies = {prefix: words for part in parts for prefix, words in part.policies.items()}
    app.add_middleware(Guard, metrics=metrics, local=open_access, tls=tls, policies=policies)
    return app


def _life(
    settings: Settings, metrics: Metrics, keys: KeyStore | None, open_access: bool
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What is opened before the first request and closed after the last one."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        try:
            await run_in_threadpool(_open, app, settings, metrics, keys, open_access)
        except Exception as error:
            app.state.not_started = error
            raise
        log.info("ready")
        try:
            yield
        finally:
            await run_in_threadpool(_close, app)
            await app.state.replies.settled()
            app.state.replies.close()
            log.info("ended")

    return life


def _caller(app: FastAPI) -> Callable[[Scope], str]:
    """Who asks, for the rate limit: the key that is taken, else the address."""

    def caller(scope: Scope) -> str:
        secret = secret_of(Request(scope))
        keys = app.state.access.keys
        key = None if secret is None or keys is None else keys.check(secret)
        return address_of(scope) if key is None else key.actor

    return caller


def _open(app: FastAPI, settings: Settings, metrics: Metrics, keys: KeyStore | None, open_access: bool) -> None:
    recognizer = Recognizer(settings, threads=1)  # the engine runs one photo a core
    opened = open_people(recognizer=recognizer, create=True, actor="api")
    state = app.state
    state.engine = Engine(opened, queue=settings.serve_queue, metrics=metrics)
    state.pulse = Pulse(state.engine)
    opened.elsewhere = Written(settings)
    state.office = _office(settings, metrics) if settings.serve_workers else None
    state.refusals = Refusals(opened.note_refused)
    state.access = Access(keys, open_access, state.refusals)
    state.jobs = Jobs(room=settings.serve_jobs)
    state.replies = Replies(Path(settings.serve_answers))
    state.fetcher = Fetcher.of(
        settings.serve_url_hosts, most_bytes=settings.max_photo_bytes, timeout_s=settings.serve_url_timeout_s
    )


def _office(settings: Settings, metrics: Metrics) -> Office:
    """Where photos for the workers are handed in; Prometheus is told of their queues."""
    try:
        from likeness.intake.office import Office
    except ImportError as error:
        raise ExtraMissing(f"workers need {error.name}", hint="pip install 'likeness[worker]'") from error
    office = Office(settings)
    metrics.registry.register(office.queues)
    return office


def _close(app: FastAPI) -> None:
    """Finish what waits; what was acknowledged is durable already."""
    state = app.state
    state.jobs.close()
    state.refusals.close()
    state.engine.close()
    if state.office is not None:
        state.office.close()
