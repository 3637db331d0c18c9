"""The small embedder that comes with the installation: it sees as its teacher does, and tells age and gender."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from likeness.bundle import PACKAGED, Bundle
from likeness.gallery import open_gallery
from likeness.recognizer import Recognizer
from likeness.service import People, find_photos
from likeness.settings import Settings


@pytest.fixture(scope="module")
def small() -> Recognizer:
    return Recognizer(Settings.load({"embedder": "likeness-s"}), threads=1)


def test_a_gallery_of_the_teacher_is_searched_by_the_student(gallery_path, small, samples):
    assert small.space == Recognizer(Settings.load({"embedder": "dlib-resnet-int8"})).space
    gallery = open_gallery(gallery_path, space=small.space, dimension=small.dimension)
    with People(gallery, small, actor="tests") as people:
        for found in people.identify(find_photos([samples / "probes"])):
            (answer,) = found.answers
            photo = Path(found.photo.path).stem
            assert answer.match is not None
            if photo.startswith("stranger"):
                assert answer.decision != "match", f"{photo} is taken for {answer.match.name}"
                continue
            assert answer.match.name == photo.removesuffix("_new").replace("_", " ")
            assert answer.decision == "match", f"{photo}: {answer.reason}"


def test_one_pass_tells_who_how_old_and_which_gender(small, samples):
    faces = small.faces(samples / "group.jpg")
    assert len(faces) == 5
    for face in faces:
        assert face.embedding is not None
        assert face.age is not None
        assert face.gender is not None
        assert face.age.low <= face.age.years <= face.age.high


def test_the_default_embedder_has_its_ages_and_genders_told_by_the_small_one(recognizer):
    assert recognizer.teller is not None
    assert recognizer.teller.bundle.manifest.name == "likeness-s"


def test_it_forbids_commercial_use_and_says_on_which_data_it_was_measured():
    manifest = Bundle.read(PACKAGED / "likeness-s").manifest
    assert manifest.licence.commercial is False
    assert "non-commercial" in manifest.licence.data
    measured = {metric.name: metric for metric in manifest.metrics}
    assert {"lfw_accuracy", "age_mean_absolute_error_years", "gender_accuracy"} <= measured.keys()
    assert all(metric.data and metric.date for metric in measured.values())


def test_its_embeddings_are_the_ones_that_were_published(small, samples):
    golden = json.loads((Path(__file__).parent / "likeness_s_golden.json").read_text("utf-8"))
    for name, expected in golden.items():
        (face,) = small.faces(samples / "probes" / name, largest=True)
        assert face.embedding is not None
        # Processors differ in how they round sums of eight bits.
        assert float(face.embedding @ np.array(expected, np.float32)) > 0.999


def test_our_own_models_are_small_enough_to_ship():
    own = ("likeness-s", "likeness-detector")
    assert sum(file.stat().st_size for name in own for file in (PACKAGED / name).rglob("*")) < 12e6
