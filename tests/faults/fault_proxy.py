"""A server in front of another that answers in its place, breaks off in the middle, or waits: as it is told."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_OWN = ("content-length", "connection", "transfer-encoding")
"""Headers that the proxy writes itself."""
_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>now and then</Message></Error>"


class FaultProxy:
    """What is done with the next requests: `faults` is taken from the front, one a request; none passes it on.

    A fault is an HTTP status, `half` (the answer breaks off), `cut` (the connection closes without a word), or
    `slow:SECONDS`.
    """

    def __init__(self, behind: str) -> None:
        self.behind = urlsplit(behind).netloc
        self.faults: list[int | str] = []
        self.always: int | str | None = None
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def next(self, what: str) -> int | str | None:
        with self._lock:
            self.asked.append(what)
            return self.faults.pop(0) if self.faults else self.always


@contextmanager
def proxied(behind: str) -> Iterator[tuple[FaultProxy, str]]:
    """A proxy and its address."""
    proxy = FaultProxy(behind)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fault = proxy.next(f"{self.command} {self.path}")
            if isinstance(fault, int):
                text = _ERROR.format({503: "SlowDown", 429: "TooManyRequests"}.get(fault, "InternalError")).encode()
                self._answer(fault, {"Content-Type": "application/xml"}, text, len(text))
                return
            if fault == "cut":
                self.close_connection = True
                return
            if isinstance(fault, str) and fault.startswith("slow:"):
                time.sleep(float(fault[5:]))
            way = http.client.HTTPConnection(proxy.behind, timeout=30)
            way.request(self.command, self.path, body, dict(self.headers.items()))
            found = way.getresponse()
            content = found.read()
            kept = {name: value for name, value in found.getheaders() if name.lower() not in _OWN}
            length = len(content) if self.command != "HEAD" else int(found.getheader("Content-Length") or 0)
            self._answer(found.status, kept, content[: len(content) // 2] if fault == "half" else content, length)
            if fault == "half":
                self.close_connection = True
            way.close()

        def _answer(self, status: int, headers: dict[str, str], content: bytes, length: int) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                try:
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # who asked has gone

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving = threading.Thread(target=server.serve_forever, args=(0.05,))
    serving.start()
    try:
        yield proxy, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
