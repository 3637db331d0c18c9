"""licence = commercial: what it refuses, what it falls back to, and what is told of licences."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from attribute_bundles import write_bundle
from likeness import Recognizer
from likeness import settings as settings_module
from likeness.bundle import PACKAGED, Library, expect_commercial
from likeness.cli import run
from likeness.errors import LicenceForbids
from likeness.settings import DEFAULT_MODELS, Settings


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The user's folder of models, with an embedder for research only and one that says nothing."""
    folder = tmp_path / "models"
    monkeypatch.setenv("LIKENESS_MODELS", str(folder))
    write_bundle(folder / "research", role="embedder", side_px=150, licence={"commercial": False, "data": "UTKFace"})
    write_bundle(folder / "silent", role="embedder", side_px=150, licence={"commercial": None})
    return folder


@pytest.fixture
def research_is_the_default(own, monkeypatch) -> None:
    monkeypatch.setitem(settings_module.DEFAULT_MODELS, "embedder", ("research", "silent", "dlib-resnet-int8"))


def test_every_default_that_ships_can_be_used_commercially_in_the_end():
    for name, choices in DEFAULT_MODELS.items():
        library = Library((), Path("nowhere"), commercial=True)
        assert any(library.allows(each) for each in choices), name


@pytest.mark.parametrize("name", ["dlib-resnet-int8", "mtcnn", "dlib-resnet-float32"])
def test_the_first_models_say_that_their_weights_allow_it_and_what_is_not_documented(name, tmp_path):
    licence = Library((), tmp_path).manifest(name).licence
    assert licence.commercial is True
    assert "allows commercial use" in licence.note
    assert "not documented" in licence.note
    expect_commercial(Library((), tmp_path).manifest(name))


@pytest.mark.parametrize(
    ("name", "words"),
    [("research", r"forbids commercial use .*training data: UTKFace"), ("silent", "does not document")],
)
def test_a_model_named_by_the_user_is_refused_with_the_reason_and_what_to_do(own, name, words):
    settings = Settings.load({"embedder": name, "licence": "commercial"})
    assert settings.embedder == name
    with pytest.raises(LicenceForbids, match=words) as caught:
        _ = Recognizer(settings).embedder
    assert "models list" in caught.value.hint
    with pytest.raises(LicenceForbids, match=words):
        settings.library().find(str(own / name))
    assert Recognizer(Settings.load({"embedder": name})).space == "colours"


def test_a_default_that_is_refused_falls_back_to_the_first_that_is_allowed(research_is_the_default, samples):
    assert Settings.load().embedder == "research"
    settings = Settings.load({"licence": "commercial"})
    assert (settings.embedder, settings.origin("embedder")) == ("dlib-resnet-int8", "licence")
    assert (settings.detector, settings.origin("detector")) == ("mtcnn", "default")
    assert Recognizer(settings).face(samples / "group.jpg").embedding is not None
    # Asked for by name it is not replaced behind the user's back.
    with pytest.raises(LicenceForbids):
        _ = Recognizer(Settings.load({"licence": "commercial", "embedder": "research"})).embedder


def test_settings_made_in_code_fall_back_alike(research_is_the_default, own):
    assert Settings(licence="commercial", models=str(own)).embedder == "dlib-resnet-int8"
    assert Settings(licence="commercial", models=str(own), embedder="research").embedder == "research"
    assert Settings().origin("embedder") == "default"


def test_where_nothing_is_allowed_the_refusal_comes_when_the_model_is_used(own, monkeypatch):
    monkeypatch.setitem(settings_module.DEFAULT_MODELS, "embedder", ("research", "silent"))
    with pytest.raises(LicenceForbids, match="research"):
        _ = Recognizer(Settings(licence="commercial", models=str(own))).embedder


def test_ages_come_only_from_models_that_allow_it(own, samples):
    free = write_bundle(own / "free", side_px=150)
    bound = write_bundle(own / "bound", side_px=150, licence={"commercial": False})
    assert Recognizer(Settings.load({"licence": "commercial", "attributes": "free"})).teller.bundle == free
    with pytest.raises(LicenceForbids, match="bound"):
        Recognizer(Settings(licence="commercial", attributes=str(bound.folder))).faces(samples / "group.jpg")
    auto = Recognizer(Settings(licence="commercial")).teller
    assert auto is None or not auto.bundle.manifest.licence.objection


def test_a_model_that_was_pulled_is_refused_like_any_other(own, tmp_path, monkeypatch, capsys):
    source = tmp_path / "elsewhere" / "theirs"
    write_bundle(source, role="embedder", side_px=150, licence={"commercial": False})
    monkeypatch.setenv("LIKENESS_LICENCE", "commercial")
    assert run(["models", "pull", str(source)]) == 0
    assert "refuses it: its card forbids commercial use" in capsys.readouterr().err
    assert run(["models", "pull", str(source)]) == 0  # and is known again
    assert run(["--model", "theirs", "doctor"]) != 0 or "refuses the model theirs" in capsys.readouterr().out


def test_the_list_of_models_shows_the_licences_and_what_is_refused(own, monkeypatch, capsys):
    assert run(["models", "list", "--json"]) == 0
    listed = {row["name"]: row["licence"] for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert listed["mtcnn"]["commercial"] is True
    assert (listed["research"]["commercial"], listed["silent"]["commercial"]) == (False, None)
    assert {"code", "weights", "data", "note"} <= set(listed["mtcnn"])
    monkeypatch.setenv("LIKENESS_LICENCE", "commercial")
    assert run(["models", "list"]) == 0
    lines = {line.split()[1 if line.startswith("*") else 0]: line for line in capsys.readouterr().out.splitlines()[1:]}
    assert lines["research"].rstrip().endswith("no (refused)")
    assert lines["silent"].rstrip().endswith("not documented (refused)")
    assert lines["mtcnn"].rstrip().endswith("yes")
    assert run(["models", "show", "mtcnn"]) == 0
    assert "yes: the licence of the weights (MIT) allows" in capsys.readouterr().out


def test_the_command_refuses_with_its_own_code(own, monkeypatch, samples, capsys):
    monkeypatch.setenv("LIKENESS_LICENCE", "commercial")
    assert run(["describe", str(samples / "group.jpg"), "--embeddings", "--model", "research", "--json"]) == 6
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "licence_forbids"
    assert error["hint"]


def test_a_default_that_is_damaged_is_not_passed_over_in_silence(tmp_path, monkeypatch):
    shutil.copytree(PACKAGED / "mtcnn", tmp_path / "models" / "mtcnn")
    (tmp_path / "models" / "mtcnn" / "manifest.json").write_text("{")
    monkeypatch.setitem(settings_module.DEFAULT_MODELS, "detector", ("mtcnn", "another"))
    assert Settings(licence="commercial", models=str(tmp_path / "models")).detector == "mtcnn"
