"""A real server in a thread of the tests, and the ways to ask it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI

from likeness.server.serving import Server


@contextmanager
def running(app: FastAPI, *, port: int = 0, **options: Any) -> Iterator[str]:
    """Its address, while it runs; it is ended as a signal would end it."""
    bound = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(app, log_config=None, lifespan="on", ws="none", **options)
    server = Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(60)
        bound.close()
        assert not thread.is_alive(), "the server did not end"


def client(address: str, **options: Any) -> httpx2.Client:
    """Somebody who asks it."""
    return httpx2.Client(base_url=address, timeout=60, **options)
