"""A stand-in for Elasticsearch in a thread: it holds every request and answer against the vendor's OpenAPI document.

It keeps what the vendor promises and our engine relies on: searches see what was refreshed and nothing later, documents
are read by id as they are, conditions on sequence numbers, outcomes for each item of a bulk request, points in time,
cosine scores as (1 + cos) / 2. It answers kNN exactly. So it proves what we ask, not how Elasticsearch answers: the
same tests run on a real cluster where LIKENESS_TEST_ELASTICSEARCH names one.
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from elastic_answers import ROUTES, Answers
from elastic_contract import Contract, Violation, document_path
from elastic_indexes import Refusal
from elastic_queries import BadRequest

PRODUCT = "Elasticsearch"


class Trouble:
    """What goes wrong with the next requests whose path has `path` in it: see `StandIn.trouble`."""

    def __init__(self, kind: str, times: int, path: str, skip: int) -> None:
        self.kind, self.times, self.path, self.skip = kind, times, path, skip

    def meets(self, path: str) -> bool:
        if self.path not in path or self.times < 1:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class StandIn:
    """The server. Use it as a context manager; `address` is where it answers."""

    def __init__(
        self, *, api_key: str | None = None, tls: ssl.SSLContext | None = None, version: str = "9.1.3"
    ) -> None:
        path = document_path()
        self.contract = Contract(path) if path else None
        self.answers = Answers(version)
        self.api_key = api_key
        self.violations: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.bulk_sizes: list[tuple[int, int]] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self._troubles: list[Trouble] = []
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"stand_in": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    def address(self, prefix: str | None = None, *, scheme: str = "elasticsearch", **options: object) -> str:
        """The address of a gallery on it."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"{scheme}://{self.host}/{prefix or f'g-{secrets.token_hex(4)}'}" + (f"?{query}" if query else "")

    def trouble(self, kind: str, *, times: int = 1, path: str = "", skip: int = 0) -> None:
        """Let the next requests fail, after the first `skip` of them.

        `429` and `503` are answered before anything is done, `drop` cuts the connection before, `drop answer` after
        all is done, `slow` answers after a second, `items` refuses each second item of a bulk request with 429,
        `partial` tells that a shard did not answer.
        """
        self._troubles.append(Trouble(kind, times, path, skip))

    def calm(self) -> None:
        """No trouble any more."""
        self._troubles.clear()

    def trouble_for(self, path: str) -> str | None:
        return next((trouble.kind for trouble in self._troubles if trouble.meets(path)), None)

    def answer(self, method: str, path: str, query: dict[str, str], body: Any, spoil: str | None) -> tuple[int, Any]:
        """Carry out a request, one at a time."""
        route, parts = _routed(path)
        if route is None:
            raise Refusal(400, "illegal_argument_exception", f"not made here: {method} {path}")
        if self.contract:
            self.contract.check_request(method, route, query, body)
        with self._lock:
            try:
                status, answer = self.answers.answer(method, route, parts, query, body, spoil == "items")
                if spoil == "partial" and "_shards" in answer:
                    answer["_shards"] = {**answer["_shards"], "total": 2, "failed": 1}
            except Refusal as error:
                status, answer = error.status, {"error": error.cause(), "status": error.status}
            except BadRequest as error:
                status, answer = 400, {"error": {"type": error.kind, "reason": str(error)}, "status": 400}
        if self.contract:
            self.contract.check_answer(method, route, status, answer)
        return status, answer

    def __enter__(self) -> StandIn:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _routed(path: str) -> tuple[str | None, dict[str, str]]:
    for route, pattern in ROUTES:
        found = re.fullmatch(pattern, path)
        if found:
            return route, {name: unquote(value) for name, value in found.groupdict().items()}
    return None, {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body of an answer leave together
    stand_in: StandIn

    def _do(self) -> None:
        stand_in = self.stand_in
        split = urlsplit(self.path)
        size = int(self.headers.get("Content-Length", 0))
        raw = self.rfile.read(size)
        stand_in.before(self.command, split.path)
        stand_in.asked.append((self.command, split.path))
        trouble = stand_in.trouble_for(split.path)
        if trouble == "drop":
            self.close_connection = True
            return
        if trouble == "slow":
            time.sleep(1.0)
        if trouble in ("429", "503"):
            kind = "es_rejected_execution_exception" if trouble == "429" else "unavailable_shards_exception"
            self._reply(int(trouble), {"error": {"type": kind, "reason": "too much"}, "status": int(trouble)})
            return
        if stand_in.api_key is not None and self.headers.get("Authorization") != f"ApiKey {stand_in.api_key}":
            self._reply(401, {"error": {"type": "security_exception", "reason": "no"}, "status": 401})
            return
        if "compatible-with=9" not in self.headers.get("Accept", "") or stand_in.answers.version.startswith("8."):
            self._reply(400, {"error": {"type": "media_type_header_exception", "reason": "version"}, "status": 400})
            return
        try:
            body = self._read(split.path, raw)
            query = dict(parse_qsl(split.query, keep_blank_values=True))
            status, answer = stand_in.answer(self.command, split.path, query, body, trouble)
        except (Violation, Refusal) as error:
            stand_in.violations.append(str(error))
            self._reply(400, {"error": {"type": "contract_violation", "reason": str(error)}, "status": 400})
            return
        if trouble == "drop answer":
            self.close_connection = True
            return
        self._reply(status, answer)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _do  # noqa: N815 - as the library names them

    def _read(self, path: str, raw: bytes) -> Any:
        if not raw:
            return None
        if path.endswith("_bulk"):
            lines = [json.loads(line) for line in raw.split(b"\n") if line]
            self.stand_in.bulk_sizes.append((len(lines), len(raw)))
            return lines
        return json.loads(raw)

    def _reply(self, status: int, body: Any) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("X-Elastic-Product", PRODUCT)
        self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Tests have no log."""
