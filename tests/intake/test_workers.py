"""Several worker processes, killed at random: each photo is answered exactly once, none is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from likeness.cli import run
from likeness.intake.queues.base import MOST_ATTEMPTS
from likeness.intake.steps.detect import Detect

COMMAND = (sys.executable, "-c", "from likeness.cli import main; main()", "worker")


def start(settings, *options: str) -> subprocess.Popen:
    own = {f"LIKENESS_{name.upper()}": getattr(settings, name) for name in ("gallery", "queue", "records", "spool")}
    return subprocess.Popen(
        [*COMMAND, *options], env=os.environ | own, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def photos_of(samples: Path, count: int) -> list[bytes]:
    """So many different files: a byte more at its end makes a photo another one."""
    files = sorted(samples.glob("people/*/*.jpg"))
    return [files[number % len(files)].read_bytes() + b"\0" * (number // len(files)) for number in range(count)]


def test_a_worker_that_is_told_to_end_finishes_what_is_in_its_hands_and_leaves_the_rest(pipeline, samples):
    job = pipeline.send(*photos_of(samples, 40))
    worker = start(pipeline.settings)
    deadline = time.monotonic() + 120
    while not pipeline.records.job(job.id).done and time.monotonic() < deadline:
        time.sleep(0.05)
    worker.send_signal(signal.SIGTERM)
    _, said = worker.communicate(timeout=60)
    assert worker.returncode == 0, said
    assert "identify" in said
    depths = [queue.depth() for queue in pipeline.queues.values()]
    assert [depth.leased for depth in depths] == [0, 0, 0, 0]
    left = sum(depth.ready + depth.waiting for depth in depths)
    assert pipeline.records.job(job.id).done + left == 40
    assert left > 0


@pytest.mark.timeout(900)
def test_photos_are_answered_exactly_once_whatever_worker_is_killed(make_pipeline, samples):
    """Workers get no word of their end, three times; a photo among them that is none leaves a dead letter."""
    pipeline = make_pipeline()
    photos = [*photos_of(samples, 59), b"no photo"]
    job = pipeline.send(*photos)
    chance = random.Random(5)
    workers = [start(pipeline.settings, "--lease", "2") for _ in range(2)]
    for _ in range(3):
        before = pipeline.records.job(job.id).done
        deadline = time.monotonic() + 120
        while pipeline.records.job(job.id).done < min(before + 8, 50) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(chance.random() * 0.3)
        victim = workers.pop(0)
        victim.kill()
        victim.communicate()
        workers.append(start(pipeline.settings, "--lease", "2"))
    deadline = time.monotonic() + 240
    while pipeline.records.job(job.id).ended_at is None and time.monotonic() < deadline:
        time.sleep(0.1)
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.communicate(timeout=60)
    ended = pipeline.records.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("done", 59, 1)
    contents = [photo.content for photo in pipeline.records.of_job(job.id) if photo.state == "done"]
    assert len(set(contents)) == 59
    assert len(pipeline.records.results(contents)) == 59
    assert len(pipeline.queues["detect"].dead()) == 1
    pipeline.drain()  # of what came twice the second may still have been on its way
    assert list(pipeline.spool.list()) == []


def test_what_is_unexpected_is_logged_with_its_place_and_without_its_words(pipeline, monkeypatch, capsys):
    """It may name people or files, as here."""
    queue = pipeline.queues["detect"]
    queue.send([{"uri": "file:///in/anna_lee.jpg"}])
    for _ in range(MOST_ATTEMPTS - 1):
        queue.retry(queue.receive(1)[0], after_s=0, reason="a try")

    def fail(self, messages):
        raise ValueError(f"cannot do {messages[0].body}")

    monkeypatch.setattr(Detect, "handle", fail)
    for name in ("gallery", "queue", "records", "spool"):
        monkeypatch.setenv(f"LIKENESS_{name.upper()}", getattr(pipeline.settings, name))
    assert run(["worker", "--drain", "--steps", "detect"]) == 0
    said = capsys.readouterr().err
    [line] = [json.loads(line) for line in said.splitlines() if "unexpected" in line]
    assert (line["error"], line["step"]) == ("ValueError", "detect")
    assert any("fail" in place for place in line["trace"])
    assert "anna" not in said
    assert [letter.reason for letter in queue.dead()] == ["something unexpected happened: ValueError"]


def test_the_command_says_what_it_did_as_json(pipeline, group):
    pipeline.send(group, b"no photo")
    worker = start(pipeline.settings, "--drain", "--json", "--steps", "detect,identify")
    out, said = worker.communicate(timeout=120)
    assert worker.returncode == 0, said
    assert [json.loads(line) for line in out.splitlines()] == [
        {"step": "detect", "outcome": "buried", "messages": 1},
        {"step": "detect", "outcome": "done", "messages": 1},
        {"step": "identify", "outcome": "done", "messages": 1},
    ]
