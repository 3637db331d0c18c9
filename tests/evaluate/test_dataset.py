"""A bundle measured on crops of the sample photos, from the files to the report."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.bundle import Bundle, write_manifest
from likeness.data.dataset import Dataset
from likeness.errors import CalibrationError, DatasetError, ModelError
from likeness.evaluate.dataset import calibration_of, embed_dataset, evaluate_dataset, rows_of
from likeness.evaluate.weaknesses import data_weaknesses
from likeness.recognizer import Recognizer


def never(done: int, total: int) -> None:
    assert done == total, "something was embedded again"


def quiet(done: int, total: int) -> None:
    """Nobody looks."""


def changed(bundle: Bundle, folder: Path, **facts: object) -> Bundle:
    roles = {key: file.path for key, file in bundle.manifest.files.items()}
    folder.mkdir()
    for path in roles.values():
        shutil.copyfile(bundle.folder / path, folder / path)
    write_manifest(folder, bundle.manifest.model_dump(mode="json", exclude={"files"}) | facts, roles)
    return Bundle.read(folder)


@pytest.fixture(scope="module")
def report(bundle: Bundle, crops: Dataset, cache: Path) -> dict:
    return evaluate_dataset(bundle, crops, "all", cache=cache, rounds=40)


def test_crops_give_the_embeddings_of_their_photos(
    bundle: Bundle, crops: Dataset, cache: Path, recognizer: Recognizer, samples: Path
) -> None:
    rows = crops.rows[:3]
    embedded = embed_dataset(bundle, crops, rows, cache, quiet)
    for row, vector in zip(rows, embedded.vectors, strict=True):
        face = recognizer.face(samples / "people" / row.photo)
        assert face.embedding is not None
        # The crop was saved as JPEG in between.
        assert float(vector @ face.embedding) > 0.995


def test_embeddings_are_kept_and_a_changed_crop_is_embedded_anew(
    bundle: Bundle, crops: Dataset, cache: Path, tmp_path: Path
) -> None:
    rows = crops.rows[:2]
    first = embed_dataset(bundle, crops, rows, tmp_path, quiet)
    again = embed_dataset(bundle, crops, rows, tmp_path, never)
    np.testing.assert_array_equal(first.vectors, again.vectors)
    seen: list[int] = []
    other = [replace(rows[0], sha256="0" * 64), rows[1]]
    embed_dataset(bundle, crops, other, tmp_path, lambda done, total: seen.append(done))
    assert len(list(tmp_path.iterdir())) == 2


def test_crops_of_another_side_are_resized(bundle: Bundle, crops: Dataset, cache: Path, tmp_path: Path) -> None:
    row = crops.rows[0]
    (tmp_path / row.path).parent.mkdir(parents=True)
    Image.open(crops.path(row)).resize((300, 300), Image.Resampling.LANCZOS).save(tmp_path / row.path, quality=95)
    assert crops.facts.crops is not None
    facts = crops.facts.crops.model_copy(update={"side_px": 300, "template_px": crops.facts.crops.template_for(300)})
    large = Dataset(tmp_path, crops.facts.model_copy(update={"crops": facts}), (replace(row, sha256=""),))
    one = embed_dataset(bundle, large, large.rows, cache, quiet)
    two = embed_dataset(bundle, crops, [row], cache, quiet)
    assert float(one.vectors[0] @ two.vectors[0]) > 0.995


def test_crops_that_were_aligned_otherwise_are_refused(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    assert crops.facts.crops is not None
    moved = tuple((x, y + 6) for x, y in crops.facts.crops.template_px)
    facts = crops.facts.model_copy(update={"crops": crops.facts.crops.model_copy(update={"template_px": moved})})
    with pytest.raises(DatasetError, match=r"aligned otherwise.*likeness data crop --model dlib-resnet-int8"):
        evaluate_dataset(bundle, Dataset(crops.folder, facts, crops.rows), "test", cache=cache)


def test_photos_that_are_no_crops_are_refused(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    facts = crops.facts.model_copy(update={"crops": None})
    with pytest.raises(DatasetError, match="holds photos, not crops"):
        evaluate_dataset(bundle, Dataset(crops.folder, facts, crops.rows), "test", cache=cache)


def test_a_detector_is_no_embedder(crops: Dataset, cache: Path, recognizer: Recognizer) -> None:
    detector = recognizer.settings.library().find("mtcnn")
    with pytest.raises(ModelError, match="mtcnn is no embedder"):
        evaluate_dataset(detector, crops, "test", cache=cache)


def test_a_crop_that_cannot_be_read_counts_as_an_error(bundle: Bundle, crops: Dataset, tmp_path: Path) -> None:
    rows = crops.of_split("test")
    folder = tmp_path / "set"
    shutil.copytree(crops.folder, folder)
    (folder / rows[0].path).write_bytes(b"no picture")
    broken = Dataset.read(folder)
    report = evaluate_dataset(bundle, broken, "test", cache=tmp_path / "cache", rounds=20)
    assert report["data"]["unreadable"] == 1
    assert report["verification"]["pairs_without_a_face"] == 23
    assert report["verification"]["auc"] < 1
    assert any("Without a usable face: 23 pairs" in sentence for sentence in report["weaknesses"])


def test_the_people_of_the_samples_are_told_apart(report: dict) -> None:
    verified, found = report["verification"], report["identification"]
    assert (verified["genuine_pairs"], verified["impostor_pairs"]) == (72, 1056)
    assert verified["accuracy"] > 0.98
    assert verified["auc"] > 0.999
    assert verified["tar_at_fmr"] == {}
    assert set(verified["refused_rates"]) == {"1e-02", "1e-03", "1e-04", "1e-05"}
    assert found["closed"]["rank_1"] == 1
    assert (found["closed"]["enrolled"], found["closed"]["probes"]) == (12, 36)
    assert found["open"]["dir_at_fpir"]["0.1"] > 0.9
    assert report["triplets"]["match_accuracy"] > 0.99
    assert report["probabilities"]["honest"] is None
    assert "class accuracy" in report["skipped"]


def test_the_report_is_plain_json_and_the_same_each_time(
    bundle: Bundle, crops: Dataset, cache: Path, report: dict
) -> None:
    again = evaluate_dataset(bundle, crops, "all", cache=cache, rounds=40, progress=never)
    assert json.dumps(again, allow_nan=False) == json.dumps(report, allow_nan=False)


def test_a_split_is_measured_alone(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    report = evaluate_dataset(bundle, crops, "test", cache=cache, rounds=20)
    assert (report["data"]["people"], report["data"]["photos"], report["data"]["split"]) == (6, 24, "test")
    assert report["data"]["digest"] != crops.digest


def test_pairs_of_a_file_are_measured(bundle: Bundle, crops: Dataset, cache: Path, tmp_path: Path) -> None:
    rows = crops.of_split("test")
    lines = ["path1,path2,same"]
    for at in range(0, 24, 4):
        lines += [f"{rows[at].path},{rows[at + 1].path},1", f"{rows[at].path},{rows[(at + 5) % 24].path},0"]
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(lines))
    report = evaluate_dataset(bundle, crops, "test", cache=cache, pairs=file, rounds=20)
    assert (report["verification"]["genuine_pairs"], report["verification"]["impostor_pairs"]) == (6, 6)
    assert report["verification"]["auc"] == 1


@pytest.mark.parametrize("split", ["holdout", "validaton"])
def test_a_split_that_does_not_exist_is_refused(crops: Dataset, split: str) -> None:
    with pytest.raises(DatasetError, match="known: train, validation, test, all"):
        rows_of(crops, split)


def test_rows_without_names_are_refused(crops: Dataset) -> None:
    nameless = Dataset(crops.folder, crops.facts, tuple(replace(row, identity="") for row in crops.rows))
    with pytest.raises(DatasetError, match="says whom it shows"):
        rows_of(nameless, "test")


def test_one_person_cannot_be_told_from_nobody(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    lonely = Dataset(crops.folder, crops.facts, crops.rows[:4])
    with pytest.raises(DatasetError, match="two people"):
        evaluate_dataset(bundle, lonely, "all", cache=cache)


def test_a_calibration_of_another_space_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = changed(bundle, tmp_path / "other", embedding={"dimension": 128, "space": "another"})
    with pytest.raises(CalibrationError, match="not of 'another'"):
        calibration_of(other)


def test_people_who_are_also_in_train_are_said(bundle: Bundle, crops: Dataset, cache: Path) -> None:
    names = sorted({row.identity for row in crops.rows})
    rows = [replace(row, split="train" if at % 2 else "test") for at, row in enumerate(crops.rows)]
    found = evaluate_dataset(bundle, crops.with_rows(rows, step="mixed"), "test", cache=cache, rounds=5)
    assert 0 < found["data"]["people_also_in_train"] <= len(names)
    assert any("also in the split train" in sentence for sentence in data_weaknesses(found["data"]))
