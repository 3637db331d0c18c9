"""Limits of rate, size and time, asked through a real server on loopback."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="needs the extra `serve`")
pytest.importorskip("uvicorn", reason="needs the extra `serve`")

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from likeness.rates import MOST_CALLERS, Buckets
from likeness.server.failures import handle_failures
from likeness.server.limits import add_limits, address_of
from likeness.settings import Settings
from running_server import running

SEEN = {"cancelled": 0, "handled": 0}


def app_with(caller=address_of, covers=lambda path: True, **limits):
    app = FastAPI()
    handle_failures(app)

    @app.post("/raw")
    async def raw(request: Request):
        body = await request.body()
        SEEN["handled"] += 1
        return {"bytes": len(body)}

    @app.post("/typed")
    async def typed(body: dict):
        SEEN["handled"] += 1
        return {"fields": len(body)}

    @app.get("/hello")
    async def hello():
        return {"hello": "you"}

    @app.get("/slow")
    async def slow():
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            SEEN["cancelled"] += 1
            raise

    @app.get("/stream")
    async def stream():
        async def parts():
            for _ in range(4):
                yield b"x"
                await asyncio.sleep(0.2)

        return StreamingResponse(parts())

    values = {"serve_rate_per_minute": 0} | limits
    add_limits(app, Settings(**values), caller=caller, covers=covers)
    return app


@contextmanager
def served(app, http_kind="auto"):
    """The port of a server in a thread of this process."""
    with running(app, http=http_kind) as address:
        yield int(address.rpartition(":")[2])


def ask(port, method, path, body=None, headers=None, *, chunked=False):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def code(data):
    return json.loads(data)["error"]["code"]


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate():
    clock = Clock()
    buckets = Buckets(per_minute=60, burst=3, clock=clock)
    assert [buckets.take("a").wait_s for _ in range(3)] == [0, 0, 0]
    refused = buckets.take("a")
    assert (refused.left, refused.wait_s, refused.full_in_s) == (0, 1.0, 3.0)
    assert buckets.take("b").wait_s == 0  # each caller has one of its own
    clock.now += 0.5
    assert buckets.take("a").wait_s == pytest.approx(0.5)
    clock.now += 0.5
    assert buckets.take("a").wait_s == 0
    clock.now += 1000
    assert buckets.take("a").left == 2  # never more than the burst


def test_over_a_long_time_no_more_than_the_rate_and_one_burst_is_allowed():
    clock = Clock()
    buckets = Buckets(per_minute=120, burst=10, clock=clock)
    allowed = 0
    for _ in range(6000):  # a request each 10 ms, for a minute
        allowed += buckets.take("a").wait_s == 0
        clock.now += 0.01
    assert 120 <= allowed <= 130


def test_callers_without_number_do_not_fill_the_memory():
    buckets = Buckets(per_minute=60, burst=1)
    for number in range(MOST_CALLERS + 500):
        buckets.take(str(number))
    assert len(buckets._held) == MOST_CALLERS


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("192.0.2.7", "address:192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "address:2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "address:2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "address:192.0.2.7"),
        ("fe80::1%eth0", "address:fe80::/64"),
        ("testclient", "address:testclient"),
    ],
)
def test_an_address_is_one_caller_and_an_ipv6_network_is_too(host, name):
    assert address_of({"client": (host, 1)}) == name


def test_a_unix_socket_is_one_caller():
    assert address_of({"client": None}) == "address:local"


def test_who_asks_too_often_is_told_when_to_come_back():
    def caller(scope):
        return dict(scope["headers"]).get(b"x-api-key", b"nobody").decode()

    app = app_with(caller, lambda path: path != "/stream", serve_rate_per_minute=3, serve_rate_burst=2)
    with served(app) as port:
        first, second, third = (ask(port, "GET", "/hello", headers={"x-api-key": "a"}) for _ in range(3))
        assert [first[0], second[0], third[0]] == [200, 200, 429]
        assert first[1]["RateLimit-Policy"] == '"requests";q=3;w=60, "burst";q=2'
        assert first[1]["RateLimit"].startswith('"burst";r=1;t=')
        assert third[1]["RateLimit"].startswith('"burst";r=0;t=')
        assert 10 <= int(third[1]["Retry-After"]) <= 20
        assert code(third[2]) == "too_many_requests"
        assert ask(port, "GET", "/hello", headers={"x-api-key": "b"})[0] == 200
        for _ in range(4):
            status, headers, _ = ask(port, "GET", "/stream", headers={"x-api-key": "a"})
            assert (status, headers["RateLimit"]) == (200, None)


@pytest.mark.parametrize("kind", ["h11", "httptools"])
def test_a_body_over_the_limit_is_refused_with_and_without_a_stated_length(kind):
    with served(app_with(serve_body_bytes=2000), kind) as port:
        assert json.loads(ask(port, "POST", "/raw", b"x" * 2000)[2]) == {"bytes": 2000}
        chunked = ask(port, "POST", "/raw", iter([b"x" * 1000] * 2), {"Transfer-Encoding": "chunked"}, chunked=True)
        assert json.loads(chunked[2]) == {"bytes": 2000}
        before = SEEN["handled"]
        for path in ("/raw", "/typed"):  # the second reads the body before the handler, and reads errors as its own
            stated = ask(port, "POST", path, b"[" * 2001, {"Content-Type": "application/json"})
            sent = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
            unstated = ask(port, "POST", path, iter([b"[" * 1000] * 3), sent, chunked=True)
            for status, headers, data in (stated, unstated):
                assert (status, code(data)) == (413, "body_too_large")
                assert headers["Connection"] == "close"
        assert SEEN["handled"] == before
        assert ask(port, "POST", "/raw", b"fine")[0] == 200


def test_a_length_that_is_stated_too_large_is_refused_before_a_byte_was_sent():
    with served(app_with(serve_body_bytes=2000)) as port, socket.create_connection(("127.0.0.1", port), 10) as line:
        line.sendall(b"POST /raw HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        assert line.recv(4096).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize("path", ["/raw", "/typed"])
def test_a_body_that_drips_is_refused_in_time(path):
    with served(app_with(serve_body_s=0.5)) as port, socket.create_connection(("127.0.0.1", port), 10) as line:
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n"
        line.sendall(head.encode())
        start = time.monotonic()
        answer = b""
        line.settimeout(0.1)
        while not answer and time.monotonic() - start < 10:
            line.sendall(b" ")
            try:
                answer = line.recv(4096)
            except TimeoutError:
                continue
        assert answer.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - start < 5


def test_an_answer_that_does_not_begin_is_given_up_and_its_work_cancelled():
    with served(app_with(serve_answer_s=0.5)) as port:
        before = SEEN["cancelled"]
        status, headers, data = ask(port, "GET", "/slow")
        assert (status, code(data), "Retry-After" in headers) == (503, "took_too_long", True)
        assert SEEN["cancelled"] == before + 1
        # One that has begun may go on for longer.
        assert ask(port, "GET", "/stream")[2] == b"xxxx"


def test_an_answer_may_take_its_time_after_the_body_has_arrived():
    app = app_with(serve_body_s=0.3)

    @app.post("/work")
    async def work(request: Request):
        await request.body()
        waiting = asyncio.ensure_future(request.receive())  # as who watches for the client to leave
        await asyncio.sleep(0.6)
        gone = waiting.done()
        waiting.cancel()
        return {"gone": gone}

    with served(app) as port:
        assert json.loads(ask(port, "POST", "/work", b"photo")[2]) == {"gone": False}
