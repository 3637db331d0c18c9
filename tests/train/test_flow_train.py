"""The flow from photos to a bundle with its card, by the command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from likeness.bundle import Bundle

SMALL = ("--smoke", "--set", "loop.epochs=1", "--set", "data.workers=0", "--shares", "50/25/25")


@pytest.mark.slow
def test_a_recipe_becomes_a_bundle_with_a_card_and_goes_on_where_it_was_stopped(
    samples, command, tmp_path, monkeypatch
):
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    asked = ("flow", "train", "softmax-resnet50", "--photos", samples / "people", "--name", "mine", *SMALL)
    asked += ("--licence", "our own")
    done = command(*asked, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["crop"]["splits"]["train"] > told["crop"]["splits"]["test"] > 0
    assert Path(told["evaluate"]["page"]).is_file()
    bundle = Bundle.read(tmp_path / "models" / "mine")
    bundle.verify()
    assert bundle.has("calibration") == told["calibrate"]["calibrated"]
    card = (bundle.folder / "README.md").read_text("utf-8")
    assert "# mine" in card
    assert "our own" in card

    trained = (tmp_path / "runs" / "mine-flow" / "run" / "run.json").read_bytes()
    again = command(*asked)
    assert again.code == 0, again.err
    assert "card" in again.out
    assert (tmp_path / "runs" / "mine-flow" / "run" / "run.json").read_bytes() == trained, "nothing is trained twice"

    crops = tmp_path / "runs" / "mine-flow" / "data"
    taken = command(
        "flow", "train", "softmax-resnet50", "--photos", crops, "--name", "mine", "--folder", "else", *SMALL
    )
    assert taken.code == 5, "another bundle has the name"
    continued = command("flow", "train", "continue", "--photos", samples / "people", "--name", "other", *SMALL[1:])
    assert continued.code == 2
    assert not (tmp_path / "runs" / "other-flow").exists(), "refused before the work"
