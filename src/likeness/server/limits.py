"""Limits of what one client may take: how often it asks, how much and how slowly it sends, how long an answer may take.

Pure ASGI middleware, of which each does one thing. What is counted lives in the memory of one process: behind a proxy
that spreads requests over several, each of them allows the rate.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.errors import BodyTooLarge, BodyTooSlow, LikenessError, TookTooLong, TooManyRequests
from likeness.rates import Buckets
from likeness.server.failures import answer_failure
from likeness.settings import Settings

_WINDOW_S = 60


def address_of(scope: Scope) -> str:
    """Who asks, by address: one IPv4 address, or one IPv6 network of 64 bits, which is what a household is given."""
    client = scope.get("client")
    if not client:
        return "address:local"  # a Unix socket: whoever may open it
    try:
        address = ip_address(client[0].partition("%")[0])
    except ValueError:
        return f"address:{client[0]}"
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return f"address:{ip_network((address, 64), strict=False)}"
        address = address.ipv4_mapped
    return f"address:{address}"


class RateLimit:
    """Answers 429 with `Retry-After` where a caller asks too often; says in `RateLimit` headers what is left.

    The headers are those of draft-ietf-httpapi-ratelimit-headers, from its version 8 on. `caller` names who asks, the
    key or the address; `covers` says of a path whether it counts.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_minute: float,
        burst: int,
        caller: Callable[[Scope], str] = address_of,
        covers: Callable[[str], bool] = lambda path: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._caller, self._covers = app, caller, covers
        self._buckets = Buckets(per_minute, burst, clock=clock)
        self._policy = f'"requests";q={per_minute:.0f};w={_WINDOW_S}, "burst";q={burst}'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or not self._covers(scope["path"]):
            await self._app(scope, receive, send)
            return
        standing = self._buckets.take(self._caller(scope))

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = self._policy
                headers["RateLimit"] = f'"burst";r={standing.left};t={math.ceil(standing.full_in_s)}'
            await send(message)

        if standing.wait_s == 0:
            await self._app(scope, receive, tell)
            return
        error = TooManyRequests("too many requests", hint=f"ask again in {math.ceil(standing.wait_s)} s")
        error.retry_after_s = standing.wait_s
        await _answer(error, scope, receive, tell)


class BodyLimit:
    """Refuses bodies of too many bytes (413) or that take too long to arrive (408), while they are read.

    A length that is stated beforehand is refused without reading; one that is not, or is wrong, when it is passed.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float) -> None:
        self._app, self._max_bytes, self._seconds = app, max_bytes, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = Headers(scope=scope).get("content-length", "")
        if stated.isdecimal() and int(stated) > self._max_bytes:
            await _answer(self._too_large(), scope, receive, send)
            return
        body = _Body(receive, self)
        started = False

        async def unless_refused(message: Message) -> None:
            nonlocal started
            # What the app makes of a body that broke off is not what happened: ours is sent in its place.
            if body.refused is None or started:
                started = True
                await send(message)

        try:
            await self._app(scope, body, unless_refused)
        except LikenessError as error:
            if error is not body.refused or started:
                raise
        if body.refused is not None and not started:
            await _answer(body.refused, scope, receive, send)

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"the request has more than {self._max_bytes:,} bytes",
            hint="send smaller or fewer photos; the setting serve_body_bytes holds the limit",
        )

    def _too_slow(self) -> BodyTooSlow:
        return BodyTooSlow(f"the request did not arrive within {self._seconds:g} s", hint="send smaller photos")


class _Body:
    """A request's `receive` that counts and times what comes through it."""

    def __init__(self, receive: Receive, limit: BodyLimit) -> None:
        self._receive, self._limit = receive, limit
        self._bytes, self._deadline, self._whole = 0, 0.0, False
        self.refused: LikenessError | None = None

    async def __call__(self) -> Message:
        if self.refused is not None:
            raise self.refused
        if self._whole:
            return await self._receive()  # waits for the client to leave, as long as it takes
        if not self._deadline:
            self._deadline = asyncio.get_running_loop().time() + self._limit._seconds
        try:
            async with asyncio.timeout_at(self._deadline) as timer:
                message = await self._receive()
        except TimeoutError:
            if not timer.expired():
                raise
            self.refused = self._limit._too_slow()
            raise self.refused from None
        self._bytes += len(message.get("body", b""))
        self._whole = not message.get("more_body", False)
        if self._bytes > self._limit._max_bytes:
            self.refused = self._limit._too_large()
            raise self.refused
        return message


class AnswerLimit:
    """Ends work whose answer was not begun in time (503): a stream that has begun may go on."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self._app, self._seconds = app, seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self._seconds) as timer:

                async def begun(message: Message) -> None:
                    if timer.when() is not None and not timer.expired():
                        timer.reschedule(None)
                    await send(message)

                await self._app(scope, receive, begun)
        except TimeoutError:
            if not timer.expired():
                raise
            error = TookTooLong(f"there was no answer within {self._seconds:g} s", hint="send fewer photos at once")
            await _answer(error, scope, receive, send)


def add_limits(
    app: FastAPI,
    settings: Settings,
    *,
    caller: Callable[[Scope], str] = address_of,
    covers: Callable[[str], bool] = lambda path: True,
) -> None:
    """Put the limits of the settings around an app: the rate first, which costs least, then the body, then the time."""
    app.add_middleware(AnswerLimit, seconds=settings.serve_answer_s)
    app.add_middleware(BodyLimit, max_bytes=settings.serve_body_bytes, seconds=settings.serve_body_s)
    if settings.serve_rate_per_minute:
        app.add_middleware(
            RateLimit,
            per_minute=settings.serve_rate_per_minute,
            burst=settings.serve_rate_burst,
            caller=caller,
            covers=covers,
        )


async def _answer(error: LikenessError, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an error, and end the connection where the rest of a body is still on its way."""
    response = answer_failure(Request(scope), error)
    headers = Headers(scope=scope)
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        response.headers["Connection"] = "close"
    await response(scope, receive, send)
