"""`likeness answers`: what became of photos of a watched folder."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from likeness.cli import run
from likeness.settings import Settings
from likeness.storage import open_storage
from working import drain

COMMAND = [sys.executable, "-c", "from likeness.cli import main; main()"]


@pytest.fixture
def inbox(tmp_path, gallery_path, monkeypatch):
    """A folder whose photos a worker looks at when asked to: `arrive(file, name=None)`, `work()`."""
    own = {"gallery": str(gallery_path), "queue": str(tmp_path / "queue.db"), "records": str(tmp_path / "records.db")}
    own["spool"] = str(tmp_path / "spool")
    for name, value in own.items():
        monkeypatch.setenv(f"LIKENESS_{name.upper()}", value)
    (tmp_path / "in box").mkdir()
    storage, settings = open_storage(tmp_path / "in box"), Settings.load(own)

    def arrive(*files, name=None):
        from likeness.intake.queues import open_queue

        with open_queue(settings.queue, "detect") as queue:
            for file in files:
                shutil.copy(file, tmp_path / "in box" / file.name)
                queue.send([{"uri": storage.uri_of(file.name)} | ({"name": name} if name else {})])
        drain(settings)
        time.sleep(1.1)  # what is written down now is told a second later

    return arrive


def test_answers_of_watched_photos_are_listed_with_who_they_show(inbox, samples, tmp_path, capsys):
    (tmp_path / "notes.jpg").write_text("these are notes")
    person = sorted((samples / "probes").glob("*.jpg"))[0]
    inbox(person, tmp_path / "notes.jpg")
    inbox(samples / "probes" / "stranger_1.jpg", name="New Person")
    assert run(["answers"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert any("notes.jpg: no answer: expected a photo" in line for line in lines)
    assert lines[-1].endswith("stranger_1.jpg: added as New Person")
    assert run(["answers", "--json", "--most", "1"]) == 0
    [last] = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (last["state"], last["name"]) == ("done", "New Person")
    assert last["uri"].endswith("/in%20box/stranger_1.jpg")


def test_where_nothing_has_come_that_is_said(inbox, capsys):
    assert run(["answers"]) == 0
    assert "no photo has been answered yet" in capsys.readouterr().err


def test_those_that_come_are_told_until_ctrl_c(inbox, samples):
    following = subprocess.Popen([*COMMAND, "answers", "--follow", "--json"], stdout=subprocess.PIPE, text=True)
    try:
        inbox(samples / "group.jpg")
        told = json.loads(following.stdout.readline())
        assert told["uri"].endswith("group.jpg")
        assert len(told["answers"]) > 3
    finally:
        following.send_signal(signal.SIGINT)
        rest, _ = following.communicate(timeout=60)
    assert (following.returncode, rest) == (0, "")
