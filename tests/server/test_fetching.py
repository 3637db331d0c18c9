"""Photos by their address: what is fetched, and what nobody can talk the server into."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from fastapi.concurrency import run_in_threadpool

from likeness.errors import PhotoTooLarge, RemoteError, Unreachable, UrlRefused
from likeness.server.fetching import AT_ONCE, Fetcher, is_public

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "::1",
    "::",
    "::7f00:1",
    "fe80::1",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:c0a8:101::1",
    "2001:db8::1",
    "fec0::1",
    "::ffff:0:7f00:1",
    "64:ff9b:1:a00:0:100:808:808",
    "3fff::1",
    "5f00::1",
    "100:0:0:1::1",
]


@pytest.mark.parametrize("text", PRIVATE)
def test_an_address_that_is_not_public_is_told_in_every_guise(text):
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", ["93.184.215.14", "2606:2800:220:1::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"])
def test_public_addresses_are_told_as_such(text):
    assert is_public(ipaddress.ip_address(text))


class Site(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        Site.asked.append((self.path, self.headers["Host"]))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data/")
            self.end_headers()
            return
        if self.path == "/dripping-headers":
            with suppress(OSError):
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Long: ")
                while True:
                    self.wfile.write(b".")
                    time.sleep(0.05)
            return
        self.send_response(200)
        if self.path == "/cut-off":
            self.send_header("Content-Length", "500")
        self.end_headers()
        with suppress(OSError):
            while self.path == "/dripping":
                self.wfile.write(b".")
                time.sleep(0.05)
            self.wfile.write(b"x" * 5000 if self.path == "/large" else b"photo")

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


def fetcher(port: int, *addresses: str, **rest) -> Fetcher:
    """One that takes this machine for a public one, and resolves every name to it unless said otherwise."""
    found = [ipaddress.ip_address(each) for each in addresses or ("127.0.0.1",)]
    return Fetcher(
        (f"photos.example:{port}",), resolve=lambda host, port: found, **{"is_public": lambda a: True} | rest
    )


def test_a_photo_is_fetched_from_the_address_looked_at_under_the_name_it_was_asked_by(site):
    assert fetcher(site).fetch(f"http://photos.example:{site}/a%20b.jpg?size=1") == b"photo"
    assert Site.asked[-1] == ("/a%20b.jpg?size=1", f"photos.example:{site}")


def test_nothing_is_fetched_unless_it_was_switched_on():
    with pytest.raises(UrlRefused, match="fetches no photos"):
        Fetcher().fetch("https://photos.example/a.jpg")


@pytest.mark.parametrize(
    "url",
    [
        "https://elsewhere.example/a.jpg",
        "https://photos.example.evil.example/a.jpg",
        "https://photos.example@evil.example/a.jpg",
        "https://user:word@photos.example/a.jpg",
        "https://photos.example:8443/a.jpg",
        "ftp://photos.example/a.jpg",
        "file:///etc/passwd",
        "//photos.example/a.jpg",
        "https:///a.jpg",
        "https://[::1]/a.jpg",
        "http://127.0.0.1/a.jpg",
        "http://2130706433/a.jpg",
        "http://[photos.example]/",
        "https://photos.example:99999/",
        "",
    ],
)
def test_other_hosts_and_other_ways_are_refused(url):
    def never(host, port):
        raise AssertionError("nothing may be resolved")

    with pytest.raises(UrlRefused):
        Fetcher(("photos.example",), resolve=never).fetch(url)


def test_all_below_a_name_may_be_allowed_but_not_names_that_end_alike():
    public = [ipaddress.ip_address("203.0.113.9")]
    asked = Fetcher(("*.example.org",), resolve=lambda host, port: public, is_public=lambda a: False)
    with pytest.raises(UrlRefused, match="not public"):
        asked.fetch("https://a.example.org/")  # allowed, and so looked up
    for url in ("https://badexample.org/", "https://example.org/"):
        with pytest.raises(UrlRefused, match="not fetched from that host"):
            asked.fetch(url)


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("93.184.215.14", "10.0.0.1"), ("93.184.215.14", "::1")])
def test_a_name_with_any_address_that_is_not_public_is_refused(site, addresses):
    before = len(Site.asked)
    with pytest.raises(UrlRefused, match="not public"):
        fetcher(site, *addresses, is_public=is_public).fetch(f"http://photos.example:{site}/a.jpg")
    assert len(Site.asked) == before


def test_a_name_is_resolved_once_so_that_it_cannot_change_its_mind(site):
    asked = []

    def turncoat(host, port):
        asked.append(host)
        return [ipaddress.ip_address("127.0.0.1" if len(asked) == 1 else "169.254.169.254")]

    assert Fetcher((f"photos.example:{site}",), resolve=turncoat, is_public=lambda a: True).fetch(
        f"http://photos.example:{site}/"
    )
    assert len(asked) == 1


def test_a_redirect_is_not_followed(site):
    with pytest.raises(RemoteError, match="302"):
        fetcher(site).fetch(f"http://photos.example:{site}/moved")


def test_too_many_bytes_are_refused(site):
    with pytest.raises(PhotoTooLarge):
        fetcher(site, most_bytes=4999).fetch(f"http://photos.example:{site}/large")


@pytest.mark.parametrize("path", ["dripping", "dripping-headers"])
def test_a_server_that_drips_is_given_up(site, path):
    began = time.monotonic()
    with pytest.raises(Unreachable):
        fetcher(site, timeout_s=0.3).fetch(f"http://photos.example:{site}/{path}")
    assert time.monotonic() - began < 5


def test_a_server_that_never_says_a_word_of_tls_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:

        def drip():
            line, _ = silent.accept()
            with line, suppress(OSError):
                line.sendall(b"\x16\x03\x03\x40\x00")  # a long record, a letter at a time
                while True:
                    line.sendall(b"\x00")
                    time.sleep(0.05)

        threading.Thread(target=drip, daemon=True).start()
        began = time.monotonic()
        with pytest.raises(Unreachable):
            fetcher(silent.getsockname()[1], timeout_s=0.3).fetch(f"https://photos.example:{silent.getsockname()[1]}/")
        assert time.monotonic() - began < 5


def test_half_a_photo_is_none(site):
    with pytest.raises(Unreachable, match="broke off"):
        fetcher(site).fetch(f"http://photos.example:{site}/cut-off")


def test_slow_servers_keep_only_their_own_waiting(site):
    slow = fetcher(site, timeout_s=4.0)

    async def ask():
        waiting = [asyncio.ensure_future(slow.fetch_aside(f"http://photos.example:{site}/dripping")) for _ in range(30)]
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await run_in_threadpool(lambda: None)  # as all other work in threads does
        took_s = time.monotonic() - began
        busy = slow.at_once.borrowed_tokens
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        return took_s, busy

    took_s, busy = asyncio.run(ask())
    assert took_s < 3
    assert busy == AT_ONCE
