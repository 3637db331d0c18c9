"""The way into the web app: an API key, given once and kept by the server, and nothing but what the pages need.

Where the server asks for keys, a visitor gives theirs on a page of its own. The browser gets a random token in a cookie
that no script reads and no other site's page can send; the key itself stays in the server's memory, and each action
asks again what it allows, so that a revoked key ends the visit. Below the app's address, everything that its pages do
not use (Gradio's API pages, proxies, monitoring) is not there.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.errors import AccessError, KeyMissing, OriginRefused
from likeness.server.access import Access
from likeness.server.failures import answer_failure
from likeness.server.middleware import from_another_site
from likeness.server.ui import page
from likeness.server.ui.uploads import expect_room

ROOT = "/ui"
KEY_PAGE = f"{ROOT}/key"
LEAVE = f"{ROOT}/leave"
UPLOAD = f"{ROOT}/gradio_api/upload"
COOKIE = "likeness_session"
IDLE_S = 12 * 3600
MOST_SESSIONS = 1000

STATIC = (f"{ROOT}/assets/", f"{ROOT}/static/", f"{ROOT}/theme.css", f"{ROOT}/svelte/")
"""Files of the app itself: the same for everybody."""
_USED = re.compile(
    r"/?(config|gradio_api/(queue/(join|data)|upload|upload_progress|cancel|reset|app_id|startup-events"
    r"|heartbeat/[\w-]+|file=(?!https?:).*))?",
    re.DOTALL,
)


class Sessions:
    """Who signed in: a token for each visit, and the key that it stands for, in memory alone."""

    def __init__(self, *, idle_s: float = IDLE_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._idle_s, self._clock = idle_s, clock
        self._held: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def begin(self, secret: str) -> str:
        """A new token for a key; the visits unused for longest make room."""
        token = secrets.token_urlsafe(32)
        self._held[token] = (secret, self._now())
        while len(self._held) > MOST_SESSIONS:
            self._held.popitem(last=False)
        return token

    def secret(self, cookies: Mapping[str, str]) -> str | None:
        """The key behind a request's cookies; None where there is none, or it was not used for long."""
        token = cookies.get(COOKIE, "")
        secret, used = self._held.pop(token, (None, 0.0))
        if secret is None or self._now() - used > self._idle_s:
            return None
        self._held[token] = (secret, self._now())
        return secret

    def end(self, cookies: Mapping[str, str]) -> None:
        """Forget a visit."""
        self._held.pop(cookies.get(COOKIE, ""), None)

    def _now(self) -> float:
        return self._clock()


class Door:
    """Lets those in who may read, shows others the page for the key, and hides what the pages do not use."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions) -> None:
        self._app, self._sessions = app, sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = scope.get("path", "")
        if scope["type"] == "lifespan" or not (path == ROOT or path.startswith(f"{ROOT}/")):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        if path.startswith(STATIC):
            await self._app(scope, receive, send)
            return
        send = _with_own_headers(send)
        if path == ROOT:  # the app's own addresses end with a slash
            await RedirectResponse(f"{ROOT}/", 303)(scope, receive, send)
            return
        if path in (KEY_PAGE, LEAVE):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if not _USED.fullmatch(path.removeprefix(ROOT)):
            await answer_failure(request, HTTPException(404))(scope, receive, send)
            return
        access: Access = scope["app"].state.access
        try:
            secret = self._sessions.secret(request.cookies)
            actor, allows = access.caller(secret, "read")
            if not access.open:
                _expect_own_page(request)
        except AccessError:
            if request.method in ("GET", "HEAD") and path.rstrip("/") == ROOT:
                await RedirectResponse(KEY_PAGE, 303)(scope, receive, send)
                return
            raise
        scope["likeness.actor"], scope["likeness.scope"] = actor, allows
        if path.rstrip("/") == UPLOAD:
            await run_in_threadpool(expect_room)
        await self._app(scope, receive, send)


def _with_own_headers(send: Send) -> Send:
    """Let the app's own forms say where they come from (under `no-referrer` a browser sends the origin `null`), and
    let the browser keep no page and no photo.
    """

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["referrer-policy"], headers["cache-control"] = "same-origin", "no-store"
        await send(message)

    return sent


def _expect_own_page(request: Request) -> None:
    """Refuse what a page of another site sends, also from browsers that let its cookies through."""
    if from_another_site(request.headers):
        raise OriginRefused("a page of another site asks")


def door_routes(sessions: Sessions) -> APIRouter:
    """The page for the key, the way out, and the way from the address's root."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def to_the_app() -> Response:
        """Lead to the app."""
        return RedirectResponse(f"{ROOT}/", 303)

    @router.get("/favicon.ico")
    async def icon() -> Response:
        """The app's sign."""
        return Response(page.ICON, media_type="image/svg+xml", headers={"cache-control": "max-age=86400"})

    @router.get("/manifest.json")
    async def manifest() -> dict[str, object]:
        """What a phone calls the app on its home screen."""
        return {"name": "Likeness", "short_name": "Likeness", "start_url": f"{ROOT}/", "display": "browser"}

    @router.get(KEY_PAGE)
    async def ask_for_key(request: Request) -> Response:
        """Show the page for the key."""
        if request.app.state.access.open:
            return RedirectResponse(f"{ROOT}/", 303)
        return HTMLResponse(page.key_page())

    @router.post(KEY_PAGE)
    async def take_key(request: Request) -> Response:
        """Begin a visit."""
        _expect_own_page(request)
        async with request.form(max_files=0, max_fields=4) as form:
            secret = str(form.get("key", "")).strip()
        access: Access = request.app.state.access
        try:
            if not secret:
                raise KeyMissing("no key was given")
            access.caller(secret, "read")
        except AccessError as error:
            return HTMLResponse(page.key_page(error.message), status_code=error.http_status)
        response = RedirectResponse(f"{ROOT}/", 303)
        # Behind a proxy that speaks TLS the browser's own words say so.
        secure = "https" in (request.url.scheme, request.headers.get("origin", "").partition(":")[0])
        response.set_cookie(COOKIE, sessions.begin(secret), path=ROOT, httponly=True, samesite="strict", secure=secure)
        return response

    @router.post(LEAVE)
    async def leave(request: Request) -> Response:
        """End a visit."""
        _expect_own_page(request)
        sessions.end(request.cookies)
        response = RedirectResponse(KEY_PAGE, 303)
        response.delete_cookie(COOKIE, path=ROOT)
        return response

    return router
