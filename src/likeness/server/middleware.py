"""Around every request: its id, who may come from where, security headers, one log line, and no unforeseen error."""

from __future__ import annotations

import ipaddress
import logging
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from likeness.errors import LikenessError, OriginRefused
from likeness.server.failures import CLIENT_LEFT, answer_failure, request_id_of
from likeness.server.metrics import Metrics

log = logging.getLogger("likeness.server")

HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=(self)",
}
API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""Content security of answers that are no pages: a browser that shows one loads and runs nothing."""

HEALTH = ("/v1/health", "/v1/ready")
"""Asked every few seconds by those who look after the server: no limit of rate, no metrics, no line in the log."""

_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass
class Guard:
    """What stands around every request; pure ASGI.

    Args:
        app: what answers.
        metrics: where requests are counted.
        local: the server is bound to this machine and asks for no key. Then web pages of other sites, which a browser
            would let post a form here, are refused, and so are requests under a name that is not this machine's,
            which is how a page would get round that (DNS rebinding).
        tls: the server speaks TLS itself, so browsers may be told to keep to it.
        policies: content security policy by the prefix of the path, for parts that are pages.
    """

    app: ASGIApp
    metrics: Metrics
    local: bool = False
    tls: bool = False
    policies: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            scope.setdefault("likeness.request_id", secrets.token_hex(8))
            if self.local and _foreign(scope):
                await receive()
                await send({"type": "websocket.close", "code": 1008})
                return
        if scope["type"] != "http":
            await self.app(scope, receive, _untraced(send))
            return
        given = Headers(scope=scope).get("x-request-id", "")
        scope["likeness.request_id"] = given if _GIVEN_ID.fullmatch(given) else secrets.token_hex(8)
        began, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._add_headers(scope, message)
            await send(message)

        try:
            try:
                if self.local and _foreign(scope):
                    raise OriginRefused(
                        "this server has no API keys, so it answers no web page of another site and no foreign name",
                        hint="make a key (`likeness keys create`), or ask under 127.0.0.1 or localhost",
                    )
                await self.app(scope, receive, send_with_headers)
            except Exception as error:
                if not isinstance(error, LikenessError):
                    log.error("unexpected", exc_info=error, extra={"request_id": scope["likeness.request_id"]})
                if status:
                    raise
                await answer_failure(Request(scope), error)(scope, receive, send_with_headers)
        finally:
            self._tell(scope, status or CLIENT_LEFT, time.perf_counter() - began)

    def _add_headers(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        headers["x-request-id"] = request_id_of(Request(scope))
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        path = scope["path"]
        policy = next((words for prefix, words in self.policies.items() if path.startswith(prefix)), None)
        headers.setdefault("content-security-policy", policy or API_POLICY)
        if policy is None:
            headers.setdefault("cache-control", "no-store")
        if self.tls:
            headers.setdefault("strict-transport-security", "max-age=31536000")

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] in HEALTH and status < 400:
            return
        route, method = route_of(scope), scope["method"] if scope["method"] in _METHODS else "other"
        self.metrics.requests.labels(route, method, str(status)).inc()
        self.metrics.request_seconds.labels(route).observe(seconds)
        facts: dict[str, Any] = {
            "request_id": scope["likeness.request_id"],
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        facts |= {name: scope[f"likeness.{name}"] for name in ("actor", "error") if f"likeness.{name}" in scope}
        log.info("request", extra=facts)


def _untraced(send: Send) -> Send:
    """Leave out the traceback of an app that did not start, which holds paths and messages; the command tells why."""

    async def sent(message: Message) -> None:
        await send({"type": message["type"]} if message["type"] == "lifespan.startup.failed" else message)

    return sent


_METHODS = (*_SAFE, "POST", "PUT", "PATCH", "DELETE")


def route_of(scope: Scope) -> str:
    """The pattern of the route that answers, which names nobody; `other` where none of ours does."""
    return str(getattr(scope.get("route"), "path", "other"))


def is_loopback(host: str) -> bool:
    """Whether a name or address, as a server is bound to or asked under, is this machine's own."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def from_another_site(headers: Headers) -> bool:
    """Whether a request says that a page of another site sends it."""
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc.lower() != headers.get("host", "").lower()
    except ValueError:
        return True


def _name_in(host: str) -> str:
    """The name in a Host header; empty where that is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _foreign(scope: Scope) -> bool:
    """Whether a request comes under a name that is not this machine's, or from a page of another site."""
    headers = Headers(scope=scope)
    if not is_loopback(_name_in(headers.get("host", ""))):
        return True
    if "origin" in headers:
        return from_another_site(headers)
    asks_only = scope["type"] == "http" and scope["method"] in _SAFE
    return headers.get("sec-fetch-site") == "cross-site" and not asks_only
