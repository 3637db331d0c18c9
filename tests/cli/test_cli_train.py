"""`likeness train` and `likeness export`: what they say, and what they refuse."""

from __future__ import annotations

import json

import pytest

RECIPES = [
    "arcface-mobilenet-v3",
    "attributes-mobilenet-v3",
    "continue",
    "fine-tune",
    "softmax-inception-resnet-v1",
    "softmax-resnet50",
    "triplet-efficientnet-b0",
]


def test_recipes_are_listed_for_people_and_for_programs(cli):
    done = cli("train", "--list")
    assert done.code == 0
    assert all(name in done.out for name in RECIPES)
    assert [line["name"] for line in cli("train", "--list", "--json").lines] == RECIPES


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        pytest.param(["train"], "name a recipe", 2, id="no recipe"),
        pytest.param(["train", "softmax-resnet50"], "--data", 2, id="no data"),
        pytest.param(["train", "softmax-resnet5", "--data", "."], "softmax-resnet5", 2, id="no such recipe"),
        pytest.param(
            ["train", "softmax-resnet50", "--data", ".", "--set", "loop.epoch=1"], "loop.epoch", 2, id="no key"
        ),
        pytest.param(["train", "softmax-resnet50", "--data", "."], "is not a data set", 3, id="no data set"),
        pytest.param(["train", "--continue", "mine"], "--data", 2, id="nobody new"),
        pytest.param(["train", "continue", "--data", "."], "--continue", 2, id="no bundle to continue"),
        pytest.param(["train", "--continue", "mine", "--data", "."], "photos", 3, id="no people"),
        pytest.param(["train", "softmax-resnet50", "--budget", "0.1"], "goes with --continue", 2, id="no step"),
        pytest.param(["train", "--continue", "mine", "--from", "mine", "--data", "."], "--from", 2, id="both"),
        pytest.param(["train", "--forget", "Anna"], "--memory", 2, id="forget where"),
        pytest.param(["train", "--forget", "Anna", "--memory", "."], "no memory of people", 3, id="no memory"),
    ],
)
def test_what_cannot_be_used_is_said_in_one_line(cli, tmp_path, monkeypatch, arguments, words, code):
    monkeypatch.chdir(tmp_path)
    done = cli(*arguments)
    assert done.code == code
    assert words in done.err
    assert "Traceback" not in done.err
    assert list(tmp_path.iterdir()) == [] or not (tmp_path / "runs").exists(), "nothing is begun"


def test_a_folder_that_holds_no_training_is_not_exported(cli, tmp_path):
    done = cli("export", tmp_path, "--out", tmp_path / "mine")
    assert done.code == 3
    assert "no training's folder" in done.err
    assert not (tmp_path / "mine").exists()


def test_an_error_is_json_for_programs(cli, tmp_path):
    done = cli("export", tmp_path, "--json")
    assert json.loads(done.out)["error"]["code"] == "dataset_invalid"
