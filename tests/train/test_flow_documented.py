"""The commands of docs/schedules.md from upload to a served model, as they stand there at smoke size."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from flow_world import CHANGES, Place

from s3_server import free_port

DOCS = Path(__file__).parents[2] / "docs" / "schedules.md"
SMOKE = ("--figure", "eer", "--margin", "-1", "--budget", "1", "--shares", "50/25/25")


def documented() -> list[str]:
    """The lines of the first shell block of the section 'From upload to a served model'."""
    text = DOCS.read_text("utf-8").partition("## From upload to a served model")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block
    return block.group(1).splitlines()


@pytest.mark.slow
def test_the_documented_way_from_upload_to_a_served_model_works(place: Place):
    *commands, serve = documented()
    assert any("likeness flow refresh" in command for command in commands)
    assert serve.startswith("likeness serve")
    settings = place.settings
    photo = sorted(place.storage.glob("*/*.jpg"))[0]
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "STORAGE": str(place.storage),
        "PHOTO": str(photo),
        "SIZE": " ".join([*SMOKE, *(f"--set {change}" for change in CHANGES)]),
        "LIKENESS_MODELS": settings.models,
        "LIKENESS_GALLERY": settings.gallery,
        "LIKENESS_EMBEDDER": settings.embedder,
        "LIKENESS_KEYS": str(place.folder / "api.keys"),
        "LIKENESS_FLOWS_FOLDER": str(place.home),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        ["sh", "-ex"],
        input="\n".join(commands),
        cwd=place.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "people: published" in done.stdout
    port = free_port()
    server = subprocess.Popen([*serve.split(), "--port", str(port), "--quiet"], env=environment, cwd=place.folder)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            deadline = time.monotonic() + 120
            while True:
                assert server.poll() is None, "the server ended at once"
                assert time.monotonic() < deadline, "the server does not answer"
                try:
                    if client.get("/v1/ready").status_code == 200:
                        break
                except httpx2.TransportError:
                    time.sleep(0.2)
            served = [each["name"] for each in client.get("/v1/models").json()["models"] if each["in_use"]]
            assert "people" in served
            answer = client.post("/v1/identify", files={"photo": photo.read_bytes()})
            assert answer.status_code == 200, answer.text
            assert json.loads(answer.text)
    finally:
        server.terminate()
        assert server.wait(timeout=60) is not None
