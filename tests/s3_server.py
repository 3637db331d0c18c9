"""moto's servers of S3 and SQS over HTTP, in a process of their own, for the tests that need them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def moto_running() -> Iterator[str]:
    """The address of a server that speaks S3 and SQS, gone with all it holds at the end."""
    for needed in ("moto.server", "s3fs", "boto3"):
        if os.environ.get("CI"):
            __import__(needed)
        pytest.importorskip(needed, reason=f"{needed} is not installed")
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert server.poll() is None, "moto's server ended at once"
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline, "moto's server does not answer"
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests-own-key",
    "AWS_SECRET_ACCESS_KEY": "tests-own-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
}
