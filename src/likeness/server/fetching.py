"""Photos by their address: off by default; from allowed hosts only, and never from an address of this network.

A name is resolved once, every address it resolves to must be a public one, and the connection goes to the address that
was looked at, so that a name cannot change its mind in between. Redirects are not followed. TLS is checked against the
name.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from anyio import CapacityLimiter, to_thread

from likeness.errors import PhotoTooLarge, RemoteError, Unreachable, UrlRefused

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"http": 80, "https": 443}
_CHUNK = 1 << 16
AT_ONCE = 8
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")
"""The only IPv6 addresses that are given out for the public network; all others are special or nobody's."""
_PRINTED_V6 = ipaddress.IPv6Network("3fff::/20")
"""For documents; Python does not know of them yet."""


def is_public(address: Address) -> bool:
    """Whether an address is one of the public network, also where it carries another one inside."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    # A mapped or translated address is as public as the one inside; its own range is not told as public.
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address not in _PUBLIC_V6 or address in _PRINTED_V6:
        return False
    carried = [each for each in (address.sixtofour, *(address.teredo or ())) if each is not None]
    return all(is_public(each) for each in carried) if carried else address.is_global


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a name, as the system resolves it."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ipaddress.ip_address(str(each[4][0]).split("%")[0]) for each in found]


@dataclass(frozen=True, slots=True)
class Fetcher:
    """Fetches photos from allowed hosts.

    Attributes:
        hosts: names, in small letters, a port after a colon where it is not the usual one; `*.name` allows all below.
        most_bytes, timeout_s: limits of one photo, the time from the first to the last byte.
        resolve, is_public: how names are resolved and addresses judged.
        at_once: how many are fetched at once; others wait, and slow servers take no thread from anybody else.
    """

    hosts: tuple[str, ...] = ()
    most_bytes: int = 64 * 1024 * 1024
    timeout_s: float = 10.0
    resolve: Callable[[str, int], Sequence[Address]] = resolve
    is_public: Callable[[Address], bool] = is_public
    at_once: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(AT_ONCE))

    @classmethod
    def of(cls, hosts: str, *, most_bytes: int, timeout_s: float) -> Fetcher:
        """One with the hosts of the setting `serve_url_hosts`."""
        names = tuple(name.strip().lower() for name in hosts.split(",") if name.strip())
        return cls(names, most_bytes, timeout_s)

    async def fetch_aside(self, url: str) -> bytes:
        """As `fetch`, in a thread."""
        return await to_thread.run_sync(self.fetch, url, limiter=self.at_once)

    def fetch(self, url: str) -> bytes:
        """The bytes at an address.

        Raises:
            UrlRefused: photos are not fetched from there.
            PhotoTooLarge: there are too many bytes.
            RemoteError: the server there did not give them.
        """
        parts, host, port = self._allowed(url)
        address = self._public_address(host, port)
        deadline = time.monotonic() + self.timeout_s
        connection = _Pinned(host, port, address, tls=parts.scheme == "https", timeout_s=self.timeout_s)
        # A server that sends a letter now and then never makes a socket wait for long: the whole has a limit too.
        limit = threading.Timer(self.timeout_s, connection.break_off)
        limit.start()
        try:
            path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + (
                f"?{quote(parts.query, safe='/%:@!$&()*+,;=~?')}" if parts.query else ""
            )
            connection.request("GET", path, headers={"Accept": "image/*", "User-Agent": "likeness"})
            answer = connection.getresponse()
            if answer.status != 200:
                raise RemoteError(f"the photo's server answered {answer.status}", hint="redirects are not followed")
            return self._read(answer, deadline)
        except (OSError, http.client.HTTPException, ssl.SSLError) as error:
            raise Unreachable("the photo's server could not be reached, or broke off") from error
        finally:
            limit.cancel()
            connection.close()

    def _allowed(self, url: str) -> tuple[SplitResult, str, int]:
        if not self.hosts:
            raise UrlRefused(
                "this server fetches no photos by their address",
                hint="send the photo itself; the setting serve_url_hosts names hosts that are allowed",
            )
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
            host = host.encode("idna").decode() if not host.isascii() else host
        except ValueError:
            raise UrlRefused("the photo's address is not one that can be read") from None
        if parts.scheme not in _PORTS or not host or parts.username is not None or parts.password is not None:
            raise UrlRefused("the photo's address must be http or https, with a host and without a login")
        name = host if port == _PORTS[parts.scheme] else f"{host}:{port}"
        if not any(_covers(allowed, name) for allowed in self.hosts):
            raise UrlRefused("photos are not fetched from that host", hint="the setting serve_url_hosts names them")
        return parts, host, port

    def _public_address(self, host: str, port: int) -> Address:
        try:
            addresses = list(self.resolve(host, port))
        except (OSError, UnicodeError, ValueError) as error:
            raise Unreachable("the photo's server could not be found") from error
        if not addresses:
            raise Unreachable("the photo's server could not be found")
        if not all(self.is_public(address) for address in addresses):
            raise UrlRefused("that host has an address that is not public")
        return addresses[0]

    def _read(self, answer: http.client.HTTPResponse, deadline: float) -> bytes:
        parts: list[bytes] = []
        size = 0
        while part := answer.read1(_CHUNK):
            size += len(part)
            if size > self.most_bytes:
                raise PhotoTooLarge(f"the photo at that address has more than {self.most_bytes} bytes")
            parts.append(part)
        if answer.length or time.monotonic() > deadline:
            raise Unreachable("the photo's server broke off, or did not send the photo in time")
        return b"".join(parts)


def _covers(allowed: str, name: str) -> bool:
    return name.endswith(allowed[1:]) and name != allowed[2:] if allowed.startswith("*.") else name == allowed


class _Pinned(http.client.HTTPConnection):
    """A connection to an address that was looked at, under the name that it was found by."""

    def __init__(self, host: str, port: int, address: Address, *, tls: bool, timeout_s: float) -> None:
        super().__init__(host, port, timeout=timeout_s)
        self.default_port = _PORTS["https" if tls else "http"]
        self._address, self._tls = str(address), tls
        self._line: socket.socket | None = None

    def connect(self) -> None:
        """Connect to the address, and for TLS make sure of the name."""
        made = socket.create_connection((self._address, self.port), self.timeout)
        self.sock = self._line = made
        if self._tls:
            context = ssl.create_default_context()
            wrapped = context.wrap_socket(made, server_hostname=self.host, do_handshake_on_connect=False)
            self.sock = self._line = wrapped
            wrapped.do_handshake()

    def break_off(self) -> None:
        """End what is waited for, from another thread."""
        if self._line is not None:
            with suppress(OSError):  # it has ended by itself
                socket.socket.shutdown(self._line, socket.SHUT_RDWR)
