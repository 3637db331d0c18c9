"""Asking servers elsewhere for something small, politely and within bounds: no more bytes, seconds or tries than said.

Addresses are http or https. Redirects are not followed: a key that was sent to one server must not reach another, and
an address that somebody allowed must not turn into one that nobody did.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from likeness.errors import AccessRefused, InputError, RemoteError, RemoteNotFound, Unreachable

USER_AGENT = "likeness (+https://likeness.readthedocs.io)"
"""Who asks, and where a server's keeper can read about it, as Wikimedia's rules want it."""
BREAKS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
"""What is raised where a server is not reached, or goes silent."""

_BUSY = (429, 503)
_BACK_OFF_S = 1.0
_LONGEST_WAIT_S = 10.0
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Site:
    """A server that is asked, and within which bounds.

    Attributes:
        name: what messages call it. base: the address that paths are appended to.
        headers: sent with each request, such as a key; never part of a message.
        timeout_s: of one request with its second try; most_bytes: of one answer.
    """

    name: str
    base: str
    headers: Mapping[str, str]
    timeout_s: float = 10.0
    most_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        parts = urlsplit(self.base)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc:
            raise InputError(
                f"{shown(self.base)!r} is no address of a server", hint="expected http:// or https:// and a host"
            )
        if any(not value.isprintable() or not value.isascii() for value in self.headers.values()):
            raise InputError(f"the key for {self.name} has characters that no key has", hint="copy it anew")

    def bytes_at(self, path: str = "", query: Mapping[str, str] | None = None) -> bytes:
        """The answer to a GET, asked once more where the server is busy.

        Raises:
            Unreachable: nobody answers within the time limit.
            AccessRefused: it wants another key. RemoteNotFound: it has no such thing.
            RemoteError: it is still busy, failed, sent us elsewhere, or answered more than is taken.
        """
        url = f"{self.base.rstrip('/')}{path}" + (f"?{urlencode(query)}" if query else "")
        deadline = time.monotonic() + self.timeout_s
        try:
            return self._once(url, deadline)
        except urllib.error.HTTPError as error:
            wait_s = self._wait(error, deadline)
        time.sleep(wait_s)
        try:
            return self._once(url, deadline)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from None

    def json_at(self, path: str = "", query: Mapping[str, str] | None = None) -> Any:
        """The answer to a GET, as plain data; raises as `bytes_at`, and RemoteError where it is no JSON."""
        try:
            return json.loads(self.bytes_at(path, query))
        except (ValueError, RecursionError):
            raise RemoteError(f"{self.name} answered something that is no JSON", hint="check its address") from None

    def _once(self, url: str, deadline: float) -> bytes:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"} | dict(self.headers)
        try:
            request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http only, see opener
            with opener(redirects=False).open(request, timeout=_left(deadline)) as answer:
                return self._read(answer, deadline)
        except urllib.error.HTTPError:
            raise
        except http.client.InvalidURL as error:
            raise InputError(f"{shown(url)!r} is no address") from error
        except BREAKS as error:
            reason = getattr(error, "reason", error)
            words = getattr(reason, "strerror", None) or str(reason) or type(error).__name__
            raise Unreachable(
                f"{self.name} at {shown(url)} cannot be reached: {words}", hint="check the address and the network"
            ) from error

    def _read(self, answer: Any, deadline: float) -> bytes:
        data = bytearray()
        while chunk := answer.read1(_CHUNK):
            data += chunk
            if len(data) > self.most_bytes:
                raise RemoteError(f"{self.name} answered more than {self.most_bytes:,} bytes, which is not taken")
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end of the answer within {self.timeout_s:g} s")
        length = answer.headers.get("Content-Length", "")
        if length.isdecimal() and length.lstrip("0") != str(len(data) or ""):
            raise ConnectionError("the answer broke off")
        return bytes(data)

    def _wait(self, error: urllib.error.HTTPError, deadline: float) -> float:
        """How long to wait for a second try; raises where there is no use in one."""
        with error:
            if error.code not in _BUSY:
                raise self._refused(error) from None
            wait_s = _retry_after(error.headers.get("Retry-After", ""))
            if wait_s > min(_LONGEST_WAIT_S, _left(deadline)):
                raise self._busy(wait_s) from None
            return wait_s

    def _busy(self, wait_s: float | None) -> RemoteError:
        when = "later" if wait_s is None else f"in {wait_s:.0f} s"
        return RemoteError(f"{self.name} is busy or wants fewer requests", hint=f"try again {when}")

    def _refused(self, error: urllib.error.HTTPError) -> RemoteError | RemoteNotFound:
        if error.code in _BUSY:
            return self._busy(None)
        if error.code in (401, 403):
            return AccessRefused(f"{self.name} refuses to answer (HTTP {error.code})", hint="check the key")
        if error.code in (404, 410):
            return RemoteNotFound(f"{self.name} has nothing at {shown(error.url or self.base)} (HTTP {error.code})")
        if 300 <= error.code < 400:
            place = shown(error.headers.get("Location", ""))
            return RemoteError(f"{self.name} sends us elsewhere: {place}", hint="give that address if it is right")
        return RemoteError(f"{self.name} failed with HTTP {error.code}", hint="try again later")


class Line(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """The connection of one request, which may be broken off from another thread."""

    def __init__(self) -> None:
        super().__init__()
        self._connection: http.client.HTTPConnection | None = None

    def do_open(self, http_class: Any, req: urllib.request.Request, **args: Any) -> http.client.HTTPResponse:
        """See `urllib.request.AbstractHTTPHandler`."""

        def made(host: str, **how: Any) -> http.client.HTTPConnection:
            self._connection = http_class(host, **how)
            return self._connection

        return super().do_open(made, req, **args)

    @contextmanager
    def for_at_most(self, seconds: float) -> Iterator[None]:
        """Break the connection off when the time is over: a socket's own limit begins anew with each byte.

        Raises:
            TimeoutError: at the end of the block, where that was so, whatever came before.
        """
        ended, late = threading.Event(), threading.Event()

        def watch() -> None:
            if ended.wait(seconds):
                return
            late.set()
            while not ended.wait(0.1):  # it may still be being made
                line = None if self._connection is None else self._connection.sock
                if line is not None:
                    with suppress(OSError):  # it has ended by itself
                        socket.socket.shutdown(line, socket.SHUT_RDWR)

        watching = threading.Thread(target=watch, name="likeness-line", daemon=True)
        watching.start()
        try:
            yield
        finally:
            ended.set()
            watching.join()
            if late.is_set():
                raise TimeoutError(f"no answer within {seconds:g} s")


def opener(*, redirects: bool, line: Line | None = None) -> urllib.request.OpenerDirector:
    """Opens http and https, with the environment's proxies; neither files nor ftp, wherever a server sends us."""
    director = urllib.request.OpenerDirector()
    handlers = [
        urllib.request.ProxyHandler(),
        *([urllib.request.HTTPHandler(), urllib.request.HTTPSHandler()] if line is None else [line]),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.UnknownHandler(),
    ]
    for handler in handlers + ([urllib.request.HTTPRedirectHandler()] if redirects else []):
        director.add_handler(handler)
    return director


def shown(url: str) -> str:
    """An address for messages: without account, password and query, which may be secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:  # a server may send us anywhere
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.01)


def _retry_after(header: str) -> float:
    """Seconds to wait by a Retry-After header: a number, a date, or nothing that can be read."""
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return _BACK_OFF_S
