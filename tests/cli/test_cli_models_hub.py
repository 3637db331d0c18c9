"""`likeness models push` and `pull`: from one home to another, by a folder and by a hub."""

from __future__ import annotations

import os

import pytest

from hub_server import FakeHub, hub, quiet_library  # noqa: F401

pytestmark = quiet_library


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another home's models."""
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_pulled_model_runs_at_once(cli, elsewhere, hub: FakeHub, samples, names) -> None:  # noqa: F811
    done = cli("models", "push", "dlib-resnet-int8", "hf://ada/faces")
    assert done.code == 0, done.err
    assert "private" in done.out
    done = cli("models", "pull", "hf://ada/faces", "--name", "theirs")
    assert done.code == 0, done.err
    assert "theirs is now in" in done.out
    assert "CC0-1.0" in done.err
    assert "theirs" in cli("models", "list").out
    photos = sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))[:2]
    assert cli("verify", *photos, "--model", "theirs", "--json").code == 0


def test_a_folder_serves_as_well_and_json_tells_it(cli, elsewhere, tmp_path) -> None:
    (pushed,) = cli("models", "push", "mtcnn", tmp_path / "out", "--json").lines
    assert (pushed["where"], pushed["public"]) == (str(tmp_path / "out"), None)
    (pulled,) = cli("models", "pull", tmp_path / "out", "--json").lines
    assert not pulled["fresh"]  # it came with the installation
    (pulled,) = cli("models", "pull", tmp_path / "out", "--name", "again", "--json").lines
    assert pulled["fresh"]
    assert cli("models", "verify", "again").code == 0


def test_what_goes_wrong_has_its_exit_code_and_a_hint(cli, elsewhere, hub: FakeHub, tmp_path) -> None:  # noqa: F811
    assert cli("models", "push", "no-such", tmp_path / "out").code == 4
    assert cli("models", "pull", tmp_path / "nothing").code == 4
    assert cli("models", "push", "mtcnn", "ftp://x/y").code == 2
    assert cli("models", "push", "mtcnn", "hf://ada/x@one", "--revision", "two").code == 2
    assert cli("models", "pull", "hf://ada/none").code == 4
    assert cli("models", "push", "mtcnn", tmp_path / "out").code == 0
    again = cli("models", "push", "mtcnn", tmp_path / "out")
    assert again.code == 5
    assert "hint:" in again.err


def test_no_token_ever_shows(cli, elsewhere, hub: FakeHub, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setenv("HF_TOKEN", "hf_wrongTokenOfTheTests")
    done = cli("models", "push", "mtcnn", "hf://ada/x")
    assert done.code == 8
    assert "hf_wrong" not in done.out + done.err
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    done = cli("models", "pull", "hf://ada/x")
    assert done.code == 8
    assert os.environ["HF_TOKEN"] not in done.out + done.err
