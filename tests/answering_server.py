"""A real server on this machine that answers as a function says, and remembers what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from threaded_server import in_thread


@dataclass
class Asked:
    """One request as it came."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class Reply:
    """One answer: plain data becomes JSON, bytes stay as they are."""

    content: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Route = Callable[[Asked], Reply]


@dataclass
class Answering:
    """A running server: its address, what it was asked so far, and what it answers."""

    route: Route
    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def answering(route: Route) -> Iterator[Answering]:
    """A server that runs in a thread for as long as the block."""
    state = Answering(route)
    with in_thread(type("Bound", (_Handler,), {"state": state})) as state.url:
        yield state


class _Handler(BaseHTTPRequestHandler):
    state: Answering

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), headers)
        self.state.asked.append(asked)
        reply = self.state.route(asked)
        body = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        self.send_response(reply.status)
        for name, value in ({"Content-Length": str(len(body))} | reply.headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
