"""The server as a process: the sockets it listens on, and an end that streams without end do not hold up."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from likeness.errors import InputError

GRACE_S = 30
"""How long requests that are being answered may take once the server is told to end."""
WAITING_LINES = 2048


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets on all addresses of a name; port 0 takes one that is free, the same on each.

    Raises:
        InputError: the name is none of this machine, or the port is taken or not for everybody.
    """
    made: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, _, _, _, (name, asked, *rest) in dict.fromkeys(found):
            own = asked or (made[0].getsockname()[1] if made else 0)
            made.append(socket.create_server((name, own, *rest), family=family, backlog=WAITING_LINES))
    except OSError as error:
        for each in made:
            each.close()
        raise InputError(
            f"port {port} of {host!r} cannot be listened on: {error.strerror or error}",
            hint="another port: --port (0 takes a free one); --host names an address of this machine",
        ) from error
    return made


def expect_certificate(cert: str, key: str) -> None:
    """Make sure that a certificate and its key can be used.

    Raises:
        InputError: they cannot, or do not belong together.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        raise InputError(
            f"the certificate {cert!r} with the key {key!r} cannot be used: {error}",
            hint="both are PEM files, the key without a password, and belong together",
        ) from error


class Server(uvicorn.Server):
    """uvicorn's, which tells the app when it begins to end: streams that would go on for ever end then."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more requests, wait for those in hand, and end the app."""
        for end in getattr(getattr(self.config.app, "state", None), "ending", ()):
            end()
        await super().shutdown(sockets)


def run(app: FastAPI, sockets: list[socket.socket], *, tls_cert: str | None = None, tls_key: str | None = None) -> None:
    """Answer on these sockets until a signal ends it.

    Raises:
        Exception: why the app did not start.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = Server(config)
    # uvicorn sends an interrupt once more after it has ended, and leaves by itself where the app did not start.
    with suppress(KeyboardInterrupt, SystemExit):
        server.run(sockets)
    if not server.started:
        raise app.state.not_started or RuntimeError("the server did not start")
