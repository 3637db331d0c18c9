"""Class accuracy of a bundle's classifier, against scikit-learn."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, top_k_accuracy_score

from likeness.bundle import Bundle, write_manifest
from likeness.errors import BundleCorrupt
from likeness.evaluate.classes import Classes, classify, most_confused
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.sample import Sample


def with_classes(bundle: Bundle, folder: Path, **arrays: np.ndarray) -> Bundle:
    roles = {key: file.path for key, file in bundle.manifest.files.items()}
    folder.mkdir()
    for path in roles.values():
        shutil.copyfile(bundle.folder / path, folder / path)
    np.savez(folder / "classes.npz", **arrays)
    write_manifest(
        folder, bundle.manifest.model_dump(mode="json", exclude={"files"}), {**roles, "classes": "classes.npz"}
    )
    return Bundle.read(folder)


@pytest.fixture
def sample(sample_of) -> Sample:
    return sample_of([6] * 10, spread=1.6, seed=2)


@pytest.fixture
def classes(sample: Sample) -> Classes:
    """A classifier of the first eight people: their mean directions."""
    names = sample.names[:8]
    weights = np.stack([sample.embedded.vectors[sample.people == name].mean(axis=0) for name in names])
    return Classes(weights.astype(np.float32), names)


def test_class_accuracy_is_scikit_learns(sample: Sample, classes: Classes) -> None:
    known = np.isin(sample.people, classes.identities)
    scores = sample.embedded.vectors[known] @ classes.weights.T
    own = np.searchsorted(classes.identities, sample.people[known])
    report = classify(sample, classes, rounds=40)
    assert report is not None
    assert report["top_1"] == pytest.approx(accuracy_score(own, scores.argmax(axis=1)))
    assert report["top_5"] == pytest.approx(top_k_accuracy_score(own, scores, k=5, labels=range(8)))
    assert 0.3 < report["top_1"] < 1
    assert (report["photos"], report["photos_of_others"], report["classes"]) == (48, 12, 8)
    low, high = report["top_1_interval"]
    assert low < report["top_1"] < high


def test_the_confusion_is_scikit_learns_in_another_order(sample: Sample, classes: Classes) -> None:
    known = np.isin(sample.people, classes.identities)
    own = np.searchsorted(classes.identities, sample.people[known])
    answer = (sample.embedded.vectors[known] @ classes.weights.T).argmax(axis=1)
    found = most_confused(own, answer, classes.identities)
    assert found is not None
    whole = confusion_matrix(own, answer, labels=range(8))
    places = [list(classes.identities).index(name) for name in found["names"]]
    table = np.array(found["table"])
    np.testing.assert_array_equal(table[:, :-1], whole[np.ix_(places, places)])
    np.testing.assert_array_equal(table.sum(axis=1), whole[places].sum(axis=1))


def test_a_classifier_without_errors_confuses_nobody() -> None:
    assert most_confused(np.arange(3), np.arange(3), np.array(["a", "b", "c"])) is None


def test_names_are_the_same_however_they_are_written(sample: Sample, classes: Classes) -> None:
    other = Classes(classes.weights, np.array([name.replace(" ", "_").upper() for name in classes.identities]))
    assert classify(sample, other, rounds=20)["top_1"] == classify(sample, classes, rounds=20)["top_1"]


def test_photos_without_a_face_are_wrong_even_with_few_classes(sample: Sample, classes: Classes) -> None:
    blind = Sample(sample.people, Embedded(sample.embedded.vectors, np.zeros(60, np.intp)))
    report = classify(blind, Classes(classes.weights[:3], classes.identities[:3]), rounds=20)
    assert (report["top_1"], report["top_5"]) == (0, 0)


def test_people_whom_the_classifier_does_not_know_give_no_figure(sample: Sample, classes: Classes) -> None:
    assert classify(sample, Classes(classes.weights[:1], np.array(["somebody else"])), rounds=20) is None


def test_a_bundle_says_its_classes(bundle: Bundle, tmp_path: Path) -> None:
    weights = np.zeros((2, 128), np.float32)
    made = with_classes(bundle, tmp_path / "own", weights=weights, identities=np.array(["Ada", "Alan"]))
    found = Classes.of(made)
    assert found is not None
    assert found.identities.tolist() == ["Ada", "Alan"]
    assert Classes.of(bundle) is None


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"weights": np.zeros((2, 7)), "identities": np.array(["a", "b"])}, "of another dimension"),
        ({"weights": np.zeros((2, 128)), "identities": np.array(["a"])}, "fewer names than weights"),
        ({"weights": np.zeros((2, 128))}, "no names"),
        ({"weights": np.zeros((1, 128)), "identities": np.array([{"a": 1}], dtype=object)}, "pickled objects"),
    ],
)
def test_classes_that_do_not_fit_are_refused(bundle: Bundle, tmp_path: Path, arrays: dict, reason: str) -> None:
    with pytest.raises(BundleCorrupt):
        Classes.of(with_classes(bundle, tmp_path / "own", **arrays))


def test_weights_that_are_no_numbers_name_nobody(bundle: Bundle, tmp_path: Path) -> None:
    dimension = bundle.manifest.embedding.dimension if bundle.manifest.embedding else 0
    weights = np.full((2, dimension), np.nan, np.float32)
    spoilt = with_classes(bundle, tmp_path / "spoilt", weights=weights, identities=np.array(["Ada", "Alan"]))
    with pytest.raises(BundleCorrupt, match="no numbers"):
        Classes.of(spoilt)
