"""A refresh that is killed at every boundary of its parts: what is in force is whole, and the end is the same."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from flow_world import Place

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.flows.home import Home
from likeness.flows.order import Tell
from likeness.flows.refresh import refresh

KILLER = Path(__file__).with_name("flow_killer.py")


@pytest.mark.slow
def test_a_refresh_killed_at_every_boundary_ends_as_one_that_was_not(place, tmp_path_factory):
    other = Place(tmp_path_factory.mktemp("unkilled"), place.samples)
    shutil.copytree(place.folder, other.folder, dirs_exist_ok=True)
    done = subprocess.run(
        [sys.executable, str(KILLER), str(place.folder), str(place.samples)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(KILLER.parent), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    *kills, last = map(json.loads, done.stdout.splitlines())
    assert [kill["status"] for kill in kills] == [-signal.SIGKILL] * len(kills), done.stderr[-3000:]
    assert len(kills) == 15
    assert last["status"] == 0, done.stderr[-3000:]

    published = [kill["point"] for kill in kills].index("after the exchange")
    for kill in kills[:published]:
        assert (kill["bundle"], kill["in_force"]) == ("ModelNotFound", None), kill
    for kill in kills[published:]:
        assert (kill["bundle"], kill["in_force"], kill["data"]) == ("people-1", "people-1", 1), kill
    versions = [kill["data"] for kill in kills]
    assert versions == sorted(versions)
    assert not (place.home / "work").exists()

    told = refresh(other.order(), other.settings, Tell())
    assert told["outcome"] == "published"
    theirs, mine = (Home(each.home) for each in (other, place))
    assert mine.state().model_dump(exclude={"number"}) == theirs.state().model_dump(exclude={"number"})
    assert Dataset.read(mine.data(1)).digest == Dataset.read(theirs.data(1)).digest
    assert {path.split("/")[0] for path in mine.photos()} == {path.name for path in place.storage.iterdir()}
    model = Bundle.read(theirs.bundle(theirs.state().model))
    assert last["model"] == model.manifest.files["model"].sha256, "the very same network"
    summaries = [json.loads((each.reports / "0001" / "summary.json").read_text()) for each in (mine, theirs)]
    assert summaries[0] == summaries[1]
