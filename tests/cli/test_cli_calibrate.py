"""`likeness calibrate`: a model's probabilities on people of one's own."""

from __future__ import annotations

import pytest

from likeness.bundle import Bundle
from likeness.calibration import Calibration

MODEL = "dlib-resnet-int8"


def test_a_folder_of_own_photos_makes_a_bundle_that_verifies(cli, samples, tmp_path, probe):
    done = cli(
        "calibrate", MODEL, samples / "people", "--out", tmp_path / "mine", "--plot", tmp_path / "plot.png",
        "--fmr", "0.05",
    )  # fmt: skip
    assert done.code == 0
    assert "1,056" in done.out
    assert "cross-validation by person" in done.out
    assert "supports no false-match rate below 0.028" in done.err
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    made = Bundle.read(tmp_path / "mine")
    assert Calibration.read(made.path("calibration")).data.startswith("own photos")
    shown = cli("verify", probe, probe, "--model", tmp_path / "mine", "--fmr", "0.05")
    assert shown.code == 0


def test_without_a_place_nothing_is_written_and_that_is_said(cli, samples, tmp_path):
    done = cli("calibrate", MODEL, samples / "people", "--json")
    assert done.code == 0
    (facts,) = done.lines
    assert (facts["people"], facts["impostor_pairs"], facts["folder"]) == (12, 1056, None)
    assert set(facts["thresholds"]) == set()
    assert "Nothing was written" in done.err


def test_in_place_a_bundle_of_ones_own_is_changed(cli, samples, tmp_path):
    assert cli("calibrate", MODEL, samples / "people", "--out", tmp_path / "mine").code == 0
    before = Bundle.read(tmp_path / "mine")
    done = cli("calibrate", tmp_path / "mine", samples / "people", "--in-place")
    assert done.code == 0
    after = Bundle.read(tmp_path / "mine")
    after.verify()
    assert after.manifest.files["model"] == before.manifest.files["model"]


@pytest.mark.parametrize(
    ("options", "code", "reason"),
    [
        (("--fmr", "0.001"), 2, "needs 30,000 impostor pairs"),
        (("--fmr", "2"), 2, "above 0 and below 1"),
        (("--in-place",), 6, "never changed in place"),
        (("--in-place", "--out", "x"), 2, "contradict"),
        (("--exclude-people", "nowhere:test"), 3, "is not a data set"),
    ],
)
def test_what_cannot_be_done_is_said(cli, samples, tmp_path, monkeypatch, options, code, reason):
    monkeypatch.chdir(tmp_path)
    done = cli("calibrate", MODEL, samples / "people", *options)
    assert (done.code, reason in done.err) == (code, True), done.err


def test_a_place_that_is_taken_is_said_before_the_work(cli, samples, tmp_path):
    done = cli("calibrate", MODEL, samples / "people", "--out", tmp_path)
    assert (done.code, "is there already" in done.err) == (5, True)


def test_splits_that_trained_or_test_are_refused(cli, samples, tmp_path):
    crops = tmp_path / "crops"
    assert cli("data", "crop", samples / "people", crops, "--sheet", 0).code == 0
    assert cli("data", "split", crops).code == 0
    done = cli("calibrate", MODEL, crops, "--split", "test")
    assert (done.code, "must not calibrate" in done.err) == (6, True)
    assert cli("calibrate", MODEL, crops, "--split", "all", "--own").code == 0
