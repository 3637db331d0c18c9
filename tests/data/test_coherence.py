"""Labels against faces, and mending."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
from crop_folders import named
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.calibration import Calibration, fit
from likeness.data.check import check_dataset, coherence_of
from likeness.data.coherence import find_incoherent
from likeness.data.dataset import MANIFEST, Dataset
from likeness.data.mending import mend, plan_mending
from likeness.errors import CalibrationError


@contextmanager
def quiet(what: str):
    yield lambda done, total: None


@pytest.fixture(scope="module")
def bundle(recognizer):
    return recognizer.settings.library().find(recognizer.settings.embedder)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    """Same people near 0.9, others near 0."""
    draw = np.random.default_rng(0)
    genuine, impostor = draw.normal(0.9, 0.05, 3000).clip(-1, 1), draw.normal(0, 0.15, 30000)
    return fit("toy", genuine, impostor, people=100, data="made")


def faces_of(rows, *, seed: int = 0, noise: float = 0.02):
    """Unit vectors: one direction for each person, a little noise for each photo."""
    draw = np.random.default_rng(seed)
    centres = {name: draw.normal(size=64) for name in sorted({row.identity for row in rows})}
    raw = np.stack([centres[row.identity] / 8 + noise * draw.normal(size=64) for row in rows])
    return (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)


def relabelled(dataset: Dataset, at: int, identity: str) -> Dataset:
    rows = list(dataset.rows)
    rows[at] = replace(rows[at], identity=identity)
    return Dataset(dataset.folder, dataset.facts, tuple(rows))


@given(seed=st.integers(0, 20), people=st.lists(st.integers(1, 4), min_size=2, max_size=6))
@settings(max_examples=30, deadline=None)
def test_similarities_are_those_of_a_naive_loop(seed, people, calibration):
    rows = named(*((f"p{at}", count) for at, count in enumerate(people)))
    vectors = np.random.default_rng(seed).normal(size=(len(rows), 8))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    found = find_incoherent(rows, vectors, calibration)
    for at, row in enumerate(rows):
        pairs: dict[str, list[float]] = {}
        for other, vector in zip(rows, vectors, strict=True):
            if other.path != row.path:
                pairs.setdefault(other.identity, []).append(float(vectors[at] @ vector))
        own = pairs.pop(row.identity, None)
        assert np.isnan(found.own[at]) if own is None else found.own[at] == pytest.approx(np.mean(own), abs=1e-5)
        assert found.other[at] == pytest.approx(max(np.mean(values) for values in pairs.values()), abs=1e-5)


def test_a_photo_under_the_wrong_name_is_doubted_and_the_right_one_suggested(calibration):
    rows = named(("Ann", 5), ("Bob", 5), ("Eve", 5))
    vectors = faces_of(rows)
    rows[2] = replace(rows[2], identity="Bob")
    found = find_incoherent(rows, vectors, calibration)
    assert [(suspect.row.path, suspect.nearest, suspect.sure) for suspect in found.suspects] == [
        ("crops/Ann/2.jpg", "Ann", True)
    ]
    assert found.supported.tolist() == [True, True, False] + [True] * 12


def test_a_photo_of_a_stranger_is_doubted_without_a_suggestion(calibration):
    rows = named(("Ann", 5), ("Bob", 5), ("Eve", 1))
    vectors = faces_of(rows)
    rows[-1] = replace(rows[-1], identity="Bob")
    (suspect,) = find_incoherent(rows, vectors, calibration).suspects
    assert (suspect.row.identity, suspect.sure, suspect.photos) == ("Bob", False, 5)
    assert suspect.as_dict()["suggested"] is None


def test_more_trust_doubts_fewer(calibration):
    rows = named(("Ann", 4), ("Bob", 4))
    vectors = faces_of(rows, noise=0.1)
    counts = [len(find_incoherent(rows, vectors, calibration, trust=trust).suspects) for trust in (0.01, 0.5, 0.999999)]
    assert counts == sorted(counts, reverse=True)


def test_people_under_two_names_are_found(calibration):
    rows = named(("Ann", 4), ("Bob", 4), ("Eve", 4))
    vectors = faces_of(rows, noise=0.005)
    rows[8:] = [replace(row, identity="Ann", split="test") for row in rows[8:]]
    rows[:2] = [replace(row, identity="Anne", split="train") for row in rows[:2]]
    vectors[8:] = vectors[:4]
    (pair,) = find_incoherent(rows, vectors, calibration).alike
    assert (pair.first, pair.second) == ("Ann", "Anne")


@pytest.mark.parametrize("people", [(), (("", 3),), (("Ann", 3),), (("Ann", 1), ("Bob", 1))])
def test_few_people_are_no_trouble(people, calibration):
    rows = named(*people)
    vectors = faces_of(rows) if rows else np.empty((0, 64), np.float32)
    found = find_incoherent(rows, vectors, calibration)
    assert found.suspects == found.alike == ()


def test_the_samples_labels_agree_with_their_faces(cropped, bundle):
    report = check_dataset(cropped, bundle, watch=quiet, near=False)
    assert report.clean
    assert plan_mending(report) == []


def test_a_swapped_label_among_real_faces_is_found_and_moved_back(cropped, bundle):
    right = cropped.rows[1].identity
    wrong = relabelled(cropped, 1, cropped.rows[10].identity)
    wrong.write()
    report = check_dataset(wrong, bundle, watch=quiet, near=False)
    (suspect,) = report.coherence.suspects
    assert (suspect.row.path, suspect.nearest, suspect.sure) == (cropped.rows[1].path, right, True)
    assert [change.what for change in plan_mending(report)] == ["dropped"]
    assert plan_mending(report, keep_doubted=True) == []
    changes = plan_mending(report, relabel=True)
    mended, copy = mend(wrong, changes, step="test")
    assert Dataset.read(cropped.folder).rows == mended.rows == cropped.rows
    assert copy.read_text().count("\n") == 49
    assert "1 moved" in mended.facts.steps[-1]
    assert copy.name in mended.facts.steps[-1]


def test_mending_keeps_every_manifest_and_every_file(cropped, bundle):
    before = (cropped.folder / MANIFEST).read_bytes()
    files = sorted(cropped.folder.glob("crops/*/*"))
    for number in (1, 2):
        data = Dataset.read(cropped.folder)
        rows = (*data.rows, replace(data.rows[0], path=f"crops/copy{number}.jpg"))
        (cropped.folder / f"crops/copy{number}.jpg").write_bytes(cropped.path(data.rows[0]).read_bytes())
        Dataset(data.folder, data.facts, rows).write()
        report = check_dataset(Dataset(data.folder, data.facts, rows), None, watch=quiet, near=False)
        mended, copy = mend(Dataset(data.folder, data.facts, rows), plan_mending(report), step="test")
        assert copy.name == f"manifest.before-{number}.csv"
        assert mended.rows == cropped.rows
    assert (cropped.folder / MANIFEST).read_bytes() == before
    assert sorted(cropped.folder.glob("crops/*/*")) == files
    assert (cropped.folder / "crops/copy1.jpg").is_file()


def test_of_one_photo_under_two_names_the_name_that_others_support_stays(cropped, bundle):
    row = cropped.rows[5]
    copy = replace(row, path="crops/copy.jpg", identity="Somebody Else")
    (cropped.folder / copy.path).write_bytes(cropped.path(row).read_bytes())
    data = Dataset(cropped.folder, cropped.facts, (*cropped.rows, copy))
    (change,) = plan_mending(check_dataset(data, bundle, watch=quiet, near=False))
    assert change.path == copy.path
    without = plan_mending(check_dataset(data, None, watch=quiet, near=False))
    assert [change.path for change in without] == sorted([row.path, copy.path])  # nothing says which is right


def test_rows_whose_files_are_gone_are_dropped(cropped):
    cropped.path(cropped.rows[7]).unlink()
    report = check_dataset(cropped, None, watch=quiet, near=False)
    assert report.missing == (cropped.rows[7].path,)
    assert [(change.path, change.why) for change in plan_mending(report)] == [
        (cropped.rows[7].path, "its file is gone")
    ]


def test_a_moved_photo_goes_into_the_split_of_its_person(cropped, bundle):
    right = cropped.rows[1].identity
    rows = [replace(row, split="test" if row.identity == right else "train") for row in cropped.rows]
    rows[1] = replace(rows[1], identity=rows[10].identity, split="train")
    data = Dataset(cropped.folder, cropped.facts, tuple(rows))
    data.write()
    mended, _ = mend(
        data, plan_mending(check_dataset(data, bundle, watch=quiet, near=False), relabel=True), step="test"
    )
    assert (mended.rows[1].identity, mended.rows[1].split) == (right, "test")


def test_a_model_without_calibration_says_nothing_about_labels(cropped, bundle):
    bare = replace(
        bundle,
        manifest=bundle.manifest.model_copy(update={"files": {"model": bundle.manifest.files["model"]}}),
    )
    with pytest.raises(CalibrationError, match="carries no calibration"):
        coherence_of(cropped, bare, watch=quiet)
