"""What was acknowledged is there after the server was killed, and after it was asked to end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from likeness.gallery import open_gallery
from running_server import client


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-c", "from likeness.cli import main; main()", "serve", "--port", str(port)],
        env=os.environ
        | {
            "LIKENESS_GALLERY": str(folder / "people.gallery"),
            "LIKENESS_KEYS": str(folder / "api.keys"),
            "LIKENESS_SERVE_ANSWERS": str(folder / "answers.db"),
            "LIKENESS_SERVE_RATE_PER_MINUTE": "0",
        },
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    limit = time.monotonic() + 60
    with client(address) as api:
        while True:
            try:
                api.get("/v1/ready").raise_for_status()
                return process, address
            except httpx2.HTTPError:
                assert process.poll() is None, "the server ended"
                assert time.monotonic() < limit
                time.sleep(0.05)


def enrol_until_it_ends(address: str, photos: list[Path], acknowledged: set[str]) -> None:
    with client(address) as api:
        for number, photo in enumerate(photos):
            name = f"{photo.parent.name} {number} {threading.get_ident()}"
            try:
                # Another byte at the end: another photo, of the same face, so that each is enrolled anew.
                answer = api.post(
                    "/api/v1/index", data={"name": name}, files={"image": photo.read_bytes() + name.encode()}
                )
            except httpx2.HTTPError:
                return
            if answer.status_code == 200:
                acknowledged.add(name)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_acknowledged_enrolment_is_lost_when_the_server_is_ended_in_the_middle(samples, tmp_path, how):
    photos = sorted((samples / "people").rglob("*.jpg")) * 4
    process, address = start(tmp_path)
    acknowledged: set[str] = set()
    clients = [
        threading.Thread(target=enrol_until_it_ends, args=(address, photos[start::4], acknowledged))
        for start in range(4)
    ]
    for each in clients:
        each.start()
    while len(acknowledged) < 12:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(how)
    code = process.wait(60)
    for each in clients:
        each.join(60)
    assert code == (-how if how == signal.SIGKILL else 0)
    with open_gallery(tmp_path / "people.gallery", create=False) as gallery:
        held = {person.name for person in gallery.people(limit=10_000)}
        assert all(finding.ok for finding in gallery.check())
    assert len(acknowledged) < len(photos)  # it was in the middle
    assert acknowledged <= held
