"""Processes that are killed while they encrypt a gallery or change its key."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from encryption_oracle import KEY, OTHER, everything, fill, plain_in, some_cell, told

HERE = Path(__file__).parent
_SCRIPT = """
import sys, time
from likeness.gallery.embedded import encryption, open_embedded
from likeness.gallery.keys import OwnerKey
encryption._BATCH = 3
key, other = OwnerKey(b"k" * 32), OwnerKey(b"o" * 32)
where, what, stops = sys.argv[1:]
try:
    gallery = open_embedded(where, space=None, dimension=None, create=False, key=key)
except Exception:
    gallery = open_embedded(where, space=None, dimension=None, create=False, key=other)
print("ready", flush=True)


def told(done, total):
    if stops == "stops" and done < total:
        time.sleep(60)  # whoever waits for its end kills it before


if what == "rotate":
    gallery.rotate_key(other, data_key=True, progress=told)
else:
    getattr(gallery, what)(progress=told)
print("done", flush=True)
"""


def run_killed(path, what, chance):
    """Do it in a process that is killed at random moments, again and again until one gets to the end; how many died."""
    killed = 0
    while True:
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(_SCRIPT), str(path), what, "goes on" if killed else "stops"],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])},
        )
        process.stdout.readline()
        if killed < 4:
            time.sleep((killed + 1) * chance.uniform(0.005, 0.04))
            process.send_signal(signal.SIGKILL)
        ended = "done" in process.communicate(timeout=60)[0]
        if ended:
            return killed
        killed += 1


@pytest.mark.parametrize("what", ["encrypt", "rotate"])
def test_killed_at_any_moment_it_goes_on_and_loses_nothing(embedded_at, tmp_path, what):
    path = tmp_path / "people.likeness"
    with embedded_at(key=KEY if what == "rotate" else None) as gallery:
        fill(gallery, people=60)
        gallery.snapshot(tmp_path / "snap")
        before = told(gallery)
    cell = some_cell(path)
    assert run_killed(path, what, random.Random(what)) >= 1
    key = OTHER if what == "rotate" else KEY
    for at in ("people.likeness", "snap"):
        with embedded_at(at=at, key=key) as gallery:
            assert told(gallery) == before
            assert [finding for finding in gallery.check() if not finding.ok] == []
    left = everything(tmp_path)
    assert plain_in(left, people=60) == []
    assert cell not in left
