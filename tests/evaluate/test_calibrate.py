"""Calibrations fitted on people apart from train and test, and written into bundles."""

from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.bundle import Bundle
from likeness.calibration import Calibration
from likeness.data.dataset import Dataset
from likeness.errors import BundleCorrupt, CalibrationError, Conflict, ModelError, RateUnsupported
from likeness.evaluate.calibrate import (
    MAX_FACES,
    calibrate,
    calibrate_dataset,
    calibrate_photos,
    expect_rates,
    people_named,
    without_people,
)
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.calibration_picture import draw_calibration
from likeness.evaluate.cross_validation import cross_validate
from likeness.evaluate.dataset import evaluate_dataset
from likeness.evaluate.sample import choose_people
from likeness.recognizer import Recognizer
from likeness.settings import Settings


@pytest.fixture(scope="module")
def fitted(bundle: Bundle, crops: Dataset, cache: Path) -> Calibration:
    """Of the four people of train and the two of validation, as if they were all to calibrate."""
    rows = tuple(replace(row, split="validation") if row.split == "train" else row for row in crops.rows)
    return calibrate_dataset(bundle, Dataset(crops.folder, crops.facts, rows), cache=cache)


def own_copy(bundle: Bundle, folder: Path) -> Bundle:
    shutil.copytree(bundle.folder, folder)
    return Bundle.read(folder)


def test_a_calibration_says_what_it_rests_on(fitted: Calibration) -> None:
    assert (fitted.people, fitted.genuine_pairs, fitted.impostor_pairs) == (6, 36, 240)
    assert fitted.data == "samples, split validation: 6 people, 24 photos"
    assert len(fitted.notes["people_hashes"]["digests"]) == 6
    assert fitted.probability(1.0) > 0.9 > 0.1 > fitted.probability(0.8)


def test_people_who_calibrated_are_recognised_in_an_evaluation(
    bundle: Bundle, crops: Dataset, cache: Path, fitted: Calibration, tmp_path: Path
) -> None:
    calibrated = write_calibrated(bundle, fitted, tmp_path / "mine")
    honest = evaluate_dataset(calibrated, crops, "test", cache=cache, rounds=20)["probabilities"]
    assert (honest["honest"], honest["people_shared"]) == (True, 0)
    report = evaluate_dataset(calibrated, crops, "all", cache=cache, rounds=20)
    assert (report["probabilities"]["honest"], report["probabilities"]["people_shared"]) == (False, 6)
    assert any("6 of these people also fitted" in sentence for sentence in report["weaknesses"])


@pytest.mark.parametrize("split", ["train", "test", "all"])
def test_people_of_train_and_test_do_not_calibrate(bundle: Bundle, crops: Dataset, cache: Path, split: str) -> None:
    with pytest.raises(CalibrationError, match="must not calibrate"):
        calibrate_dataset(bundle, crops, split, cache=cache)


def test_a_person_who_is_also_in_train_stops_the_calibration(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    rows = crops.rows
    first = next(row for row in rows if row.split == "train")
    leaking = tuple(replace(row, split="validation") if row is first else row for row in rows)
    with pytest.raises(CalibrationError, match=r"1 of the 3 people .* also in train .*--exclude-people"):
        calibrate_dataset(bundle, Dataset(crops.folder, crops.facts, leaking), cache=cache)


def test_own_data_may_calibrate_and_leaves_no_digest_of_single_people(
    bundle: Bundle, crops: Dataset, cache: Path
) -> None:
    own = calibrate_dataset(bundle, crops, "all", cache=cache, own=True)
    assert own.people == 12
    assert "people_hashes" not in own.notes
    assert len(own.notes["people_digest"]) == 64


def test_people_may_be_left_out_by_name_or_data_set(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    named = people_named(f"{crops.folder}:test")
    assert len(named) == 6
    assert len(people_named(str(crops.folder))) == 12
    own = calibrate_dataset(bundle, crops, "all", cache=cache, own=True, exclude=named)
    assert own.people == 6
    with pytest.raises(CalibrationError, match="nobody is left"):
        without_people(crops.rows, people_named(str(crops.folder)))


def test_a_rate_with_too_few_impostor_pairs_is_refused_before_the_work(
    bundle: Bundle, crops: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(RateUnsupported, match=r"0.001 needs 30,000 impostor pairs; 48 photos .* give 1,056") as caught:
        calibrate_dataset(bundle, crops, "all", cache=tmp_path, own=True, rates=(1e-3,))
    assert caught.value.hint is not None
    assert "photos of" in caught.value.hint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("each", [1, 2, 5])
def test_as_many_photos_and_people_as_the_refusal_names_would_do(each: int) -> None:
    with pytest.raises(RateUnsupported) as caught:
        expect_rates([1e-3], np.repeat([f"p{n}" for n in range(40)], each))
    words = (caught.value.hint or "").replace(",", "").split()
    photos, people = int(words[1]), int(words[4])
    enough = np.repeat([f"p{n}" for n in range(people)], each)
    assert len(enough) >= photos
    expect_rates([1e-3], enough)
    assert math.comb(photos, 2) < 1.5 * 30_000 * (1 + 1 / 3)


def test_a_rate_that_no_calibration_supports_is_said_to_be_so() -> None:
    with pytest.raises(RateUnsupported, match="no calibration supports it"):
        expect_rates([1e-8], np.array(["a", "b"]))


def test_of_too_many_faces_people_are_drawn_whole_by_the_seed() -> None:
    people = np.repeat([f"p{n}" for n in range(500)], 20)
    chosen = choose_people(people, MAX_FACES, 0)
    assert MAX_FACES - 20 < chosen.sum() <= MAX_FACES
    assert not set(people[chosen]) & set(people[~chosen])
    np.testing.assert_array_equal(chosen, choose_people(people, MAX_FACES, 0))
    assert (chosen != choose_people(people, MAX_FACES, 1)).any()


def test_a_folder_of_own_photos_calibrates_too(recognizer: Recognizer, samples: Path, cache: Path) -> None:
    fitted = calibrate_photos(recognizer, samples / "people", cache=cache)
    assert (fitted.people, fitted.genuine_pairs, fitted.impostor_pairs) == (12, 72, 1056)
    assert "people_hashes" not in fitted.notes
    assert fitted.space == recognizer.space


def fit(vectors: np.ndarray, people: np.ndarray) -> Calibration:
    return calibrate("space", vectors, people, "random")


def test_cross_validation_is_near_what_other_people_show(sample_of) -> None:
    known, others = (sample_of([4] * 60, spread=1.0, seed=seed) for seed in (1, 2))
    checked = cross_validate(fit, known.embedded.vectors, known.people)
    assert checked is not None
    assert checked["folds"] == 5
    assert checked["expected_calibration_error"] < 0.05
    calibration = fit(known.embedded.vectors, known.people)
    same = others.people[:, None] == others.people
    scores = (others.embedded.vectors @ others.embedded.vectors.T)[~same]
    stated = next(row for row in checked["false_match_rates"] if row["stated"] == 1e-2)
    assert stated["observed"] == pytest.approx((scores >= calibration.threshold(1e-2)).mean(), rel=0.5)


def test_cross_validation_of_too_few_people_says_nothing(sample_of) -> None:
    sample = sample_of([3] * 3)
    assert cross_validate(fit, sample.embedded.vectors, sample.people) is None


def test_a_calibrated_bundle_is_the_old_one_with_another_calibration(
    bundle: Bundle, fitted: Calibration, tmp_path: Path, samples: Path, crops: Dataset, cache: Path
) -> None:
    made = write_calibrated(bundle, fitted, tmp_path / "mine")
    made.verify()
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o755
    assert made.fingerprint == bundle.fingerprint
    assert made.manifest.model_copy(update={"files": bundle.manifest.files}) == bundle.manifest
    settings = Settings.load({"embedder": str(tmp_path / "mine")})
    recognizer = Recognizer(settings, threads=1)
    assert recognizer.calibration.impostor_pairs == 240
    assert Calibration.read(bundle.path("calibration")).impostor_pairs != 240


def test_in_place_the_old_file_goes_and_nothing_else_changes(
    bundle: Bundle, fitted: Calibration, tmp_path: Path
) -> None:
    mine = own_copy(bundle, tmp_path / "mine")
    changed = write_calibrated(mine, fitted, None)
    changed.verify()
    assert Calibration.read(changed.path("calibration")).impostor_pairs == 240
    assert len(list(changed.folder.iterdir())) == len(list(bundle.folder.iterdir()))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    again = write_calibrated(changed, fitted, None)
    again.verify()
    assert len(list(again.folder.iterdir())) == len(list(bundle.folder.iterdir()))


def test_a_packaged_bundle_is_never_changed_in_place(bundle: Bundle, fitted: Calibration) -> None:
    before = {path.name: path.read_bytes() for path in bundle.folder.iterdir()}
    with pytest.raises(ModelError, match="never changed in place"):
        write_calibrated(bundle, fitted, None)
    assert {path.name: path.read_bytes() for path in bundle.folder.iterdir()} == before


def test_what_is_at_the_target_stays(bundle: Bundle, fitted: Calibration, tmp_path: Path) -> None:
    own_copy(bundle, tmp_path / "mine")
    with pytest.raises(Conflict, match="is there already"):
        write_calibrated(bundle, fitted, tmp_path / "mine")
    Bundle.read(tmp_path / "mine").verify()


def test_a_calibration_of_another_space_is_not_written(bundle: Bundle, fitted: Calibration, tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="'another'"):
        write_calibrated(bundle, replace(fitted, space="another"), tmp_path / "mine")
    assert not (tmp_path / "mine").exists()


def test_a_damaged_bundle_is_not_calibrated(bundle: Bundle, fitted: Calibration, tmp_path: Path) -> None:
    mine = own_copy(bundle, tmp_path / "mine")
    (mine.folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleCorrupt):
        write_calibrated(mine, fitted, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_calibration_is_drawn_with_and_without_a_cross_validation(fitted: Calibration) -> None:
    for each in (fitted, replace(fitted, notes={})):
        assert draw_calibration(each).startswith(b"\x89PNG")


def test_data_that_a_model_was_trained_on_are_not_its_own_to_calibrate(
    bundle: Bundle, crops: Dataset, cache: Path
) -> None:
    manifest = bundle.manifest.model_copy(update={"origin": {"data": {"digest": crops.digest}}})
    with pytest.raises(CalibrationError, match="trained on this very data"):
        calibrate_dataset(replace(bundle, manifest=manifest), crops, "all", cache=cache, own=True)
