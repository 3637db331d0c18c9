"""A model's ages and genders measured and calibrated on a data set's crops."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from attribute_bundles import write_bundle, write_faces
from likeness.apparent import AttributeCalibration
from likeness.bundle import PACKAGED, Bundle
from likeness.cli import run
from likeness.data.dataset import Dataset
from likeness.errors import CalibrationError, DatasetError, ModelError
from likeness.evaluate.attribute_faces import calibrate_attributes, predict_faces
from likeness.evaluate.attributes import evaluate_attributes
from likeness.evaluate.calibrated import write_told


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Dataset:
    return write_faces(tmp_path_factory.mktemp("faces") / "colours", 1200)


@pytest.fixture(scope="module")
def raw(faces, tmp_path_factory) -> Bundle:
    """A bundle that is not calibrated yet, and says that it learnt from these faces."""
    origin = {"data": {"name": "colours", "digest": faces.digest}}
    return write_bundle(tmp_path_factory.mktemp("raw") / "colours", calibrated=False, origin=origin)


@pytest.fixture(scope="module")
def calibrated(raw, faces, tmp_path_factory) -> Bundle:
    return write_told(raw, calibrate_attributes(raw, faces, threads=1), tmp_path_factory.mktemp("out") / "colours")


def test_fitted_on_one_split_the_interval_holds_eight_of_ten_of_another(calibrated, faces):
    found, behind = predict_faces(calibrated, faces, "test", threads=1)
    report = evaluate_attributes(found, name="colours", data="test", rounds=60, behind=behind)
    age, gender = report["age"], report["gender"]
    assert age["photos"] == 300
    assert age["coverage_interval"][0] < 0.8 < age["coverage_interval"][1]
    assert age["mean_absolute_error_years"] == pytest.approx(5 * np.sqrt(2 / np.pi), abs=0.6)
    assert gender["accuracy"] == pytest.approx(0.9, abs=0.05)
    assert gender["probabilities"]["expected_calibration_error"] < 0.05
    assert set(age["by_group"]) == {"a", "b"}
    assert report["calibration"]["honest"] is True
    assert not any("flattering" in sentence for sentence in report["weaknesses"])


@pytest.mark.parametrize(("split", "shared"), [("validation", 300), ("all", 300), ("train", 0)])
def test_photos_that_calibrated_or_trained_are_known_again(calibrated, faces, split, shared):
    found, behind = predict_faces(calibrated, faces, split, threads=1)
    assert (behind["photos_shared"], behind["honest"]) == (shared, False)
    report = evaluate_attributes(found, name="colours", data=split, rounds=20, behind=behind)
    assert any("flattering" in sentence for sentence in report["weaknesses"])


def test_of_faces_that_were_split_otherwise_nobody_knows_whether_they_were_learnt(calibrated, faces):
    anew = faces.with_rows([row for row in faces.rows if row.split == "test"], step="split otherwise")
    behind = predict_faces(calibrated, anew, "test", threads=1)[1]
    assert (behind["photos_shared"], behind["honest"]) == (0, None)


def test_the_calibrated_bundle_is_whole_and_says_what_it_was_fitted_on(calibrated, raw, faces):
    calibrated.verify()
    assert calibrated.manifest.files["model"] == raw.manifest.files["model"]
    fitted = AttributeCalibration.read(calibrated.path("attributes"))
    assert fitted.data == "colours, split validation: 300 photos"
    assert fitted.notes["data_digest"] == faces.digest


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_splits_that_trained_or_test_do_not_calibrate(raw, faces, split):
    with pytest.raises(CalibrationError, match="must not calibrate"):
        calibrate_attributes(raw, faces, split)
    assert "photo_hashes" not in calibrate_attributes(raw, faces, split, own=True, threads=1).notes


def test_what_cannot_be_measured_is_said(raw, calibrated, faces, tmp_path):
    with pytest.raises(CalibrationError, match="carries no calibration"):
        predict_faces(raw, faces)
    with pytest.raises(ModelError, match="tells no age and gender"):
        predict_faces(Bundle.read(PACKAGED / "dlib-resnet-int8"), faces)
    with pytest.raises(DatasetError, match="there is no split 'half'"):
        predict_faces(calibrated, faces, "half")
    unlabelled = Dataset(faces.folder, faces.facts, tuple(replace(row, labels={}) for row in faces.rows))
    with pytest.raises(DatasetError, match="has an age or a gender"):
        predict_faces(calibrated, unlabelled)
    gone = Dataset(tmp_path, faces.facts, faces.rows)
    with pytest.raises(DatasetError, match="can be read"):
        predict_faces(calibrated, gone)


def test_calibrate_and_measure_as_they_are_typed(raw, faces, tmp_path, capsys):
    out = tmp_path / "mine"
    assert run(["calibrate", str(raw.folder), str(faces.folder), "--out", str(out)]) == 0
    assert "faces of known age, gender" in capsys.readouterr().out
    assert run(["calibrate", str(out), str(faces.folder), "--in-place", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["aged_photos"] == 300
    Bundle.read(out).verify()
    report = tmp_path / "report"
    command = ["evaluate", "attributes", str(faces.folder), "--attributes", str(out), "--rounds", "20"]
    assert run([*command, "--out", str(report)]) == 0
    assert "ages in their 80% interval" in capsys.readouterr().out
    assert {"report.html", "age-coverage.png", "gender-reliability.png"} <= {path.name for path in report.iterdir()}
    assert run([*command, "--json", "--split", "validation"]) == 0
    assert json.loads(capsys.readouterr().out)["calibration"]["honest"] is False


def test_an_embedder_is_measured_and_calibrated_by_its_name_too(faces, tmp_path, capsys):
    bundle = write_bundle(tmp_path / "all", role="embedder", calibrated=False)
    where = str(bundle.folder)
    assert run(["calibrate", where, str(faces.folder), "--attributes", "--in-place"]) == 0
    assert run(["evaluate", "attributes", str(faces.folder), "--model", where, "--rounds", "20", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["model"]["name"] == "all"
    assert run(["evaluate", "attributes", str(faces.folder), "--model", "dlib-resnet-int8"]) == 6
    assert run(["calibrate", where, str(faces.folder), "--attributes", "--fmr", "0.1"]) == 2
