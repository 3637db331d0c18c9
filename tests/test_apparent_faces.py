"""Age and gender on the way from a photo to an answer, and what they cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from attribute_bundles import SPACE, write_bundle
from likeness import Recognizer
from likeness.errors import CalibrationError, ModelError
from likeness.settings import Settings
from likeness.vision.attributes import Teller
from likeness.vision.session import Session


@pytest.fixture
def runs(monkeypatch) -> list[Path]:
    """The networks of crops that were run, in order, a file for each run."""
    found: list[Path] = []
    run = Session.run

    def counted(self: Session, **inputs):
        if "faces" in inputs:
            found.append(self.path)
        return run(self, **inputs)

    monkeypatch.setattr(Session, "run", counted)
    return found


def recognizer_with(**settings: str) -> Recognizer:
    return Recognizer(Settings(**settings), threads=1)


@pytest.fixture
def group(samples: Path) -> Path:
    return samples / "group.jpg"


def test_an_embedder_that_tells_age_and_gender_does_so_in_its_one_pass(tmp_path, group, runs):
    bundle = write_bundle(tmp_path / "all", role="embedder", side_px=150, flip=True)
    recognizer = recognizer_with(embedder=str(bundle.folder))
    faces = recognizer.faces(group)
    assert len(faces) == 5
    assert runs == [bundle.folder / "model.onnx"]
    crops = np.stack([face.crop for face in faces])
    network = bundle.load(threads=1)
    told = Teller(bundle).tell(network.attribute_logits(crops))
    assert [(face.age, face.gender) for face in faces] == told
    assert np.array_equal(np.stack([face.embedding for face in faces]), network.embed(crops))
    assert recognizer.space == SPACE


@pytest.mark.parametrize("side_px", [64, 150], ids=["crops of its own", "the embedder's crops"])
def test_a_network_of_its_own_tells_them_beside_another_embedder(tmp_path, group, runs, recognizer, side_px):
    bundle = write_bundle(tmp_path / "ages", side_px=side_px)
    own = recognizer_with(attributes=str(bundle.folder))
    faces = own.faces(group)
    assert sorted(path.parent.name for path in runs) == ["ages", "dlib-resnet-int8"]
    assert all(face.age is not None and face.gender is not None for face in faces)
    without = recognizer.faces(group, attributes=False)
    assert [face.box_xyxy_px for face in faces] == [face.box_xyxy_px for face in without]
    assert all(np.array_equal(one.embedding, two.embedding) for one, two in zip(faces, without, strict=True))
    photo = own.photo(group)
    network = bundle.load(threads=1)
    crops = [network.crop(photo.pixels, (face.landmarks_px / photo.scale).astype(np.float32)) for face in faces]
    told = Teller(bundle).tell(network.attribute_logits(np.stack(crops)))
    assert [face.age.years for face in faces] == pytest.approx([age.years for age, _ in told], abs=0.2)


@pytest.mark.parametrize(("embed", "expected"), [(True, ["dlib-resnet-int8"]), (False, [])])
def test_who_needs_no_ages_pays_for_no_second_network(tmp_path, group, runs, embed, expected):
    bundle = write_bundle(tmp_path / "ages")
    faces = recognizer_with(attributes=str(bundle.folder)).faces(group, embed=embed, attributes=False)
    assert [path.parent.name for path in runs] == expected
    assert all(face.age is None and face.gender is None for face in faces)


def test_enrolling_and_comparing_pay_for_no_second_network(tmp_path, samples, runs):
    from likeness.gallery import open_gallery
    from likeness.service import People, find_photos, verify

    recognizer = recognizer_with(attributes=str(write_bundle(tmp_path / "ages").folder))
    one, two = sorted((samples / "people").glob("*/*.jpg"))[:2]
    named = one.parent
    verify(recognizer, one, two)
    gallery = open_gallery(tmp_path / "g", space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer) as people:
        list(people.enroll(find_photos([named], name="Ada")))
        assert {path.parent.name for path in runs} == {"dlib-resnet-int8"}
        answers = [answer for found in people.identify(find_photos([one])) for answer in found.answers]
        assert answers[0].face.age is not None
        assert people.twins(one).face.gender is not None


def test_ages_alone_are_told_without_embeddings(tmp_path, group, runs):
    recognizer = recognizer_with(attributes=str(write_bundle(tmp_path / "ages").folder))
    faces = recognizer.faces(group, embed=False)
    assert [path.parent.name for path in runs] == ["ages"]
    assert all(face.embedding is None and face.age is not None for face in faces)


def test_an_answer_carries_age_and_gender_as_plain_data(tmp_path, people, group):
    recognizer = recognizer_with(attributes=str(write_bundle(tmp_path / "ages").folder))
    answer = recognizer.identify(group, people.gallery)[0].as_dict()
    assert set(answer["face"]["age"]) == {"years", "low", "high"}
    assert answer["face"]["gender"]["label"] in ("female", "male")
    assert 0.5 <= answer["face"]["gender"]["probability"] < 1


def test_none_switches_it_off_even_where_the_embedder_would_tell(tmp_path, group):
    bundle = write_bundle(tmp_path / "all", role="embedder", side_px=150)
    face = recognizer_with(embedder=str(bundle.folder), attributes="none").face(group)
    assert face.age is None
    assert face.embedding is not None


def test_a_model_that_cannot_tell_is_refused_by_name(tmp_path, group):
    with pytest.raises(ModelError, match="dlib-resnet-int8 tells no age and gender"):
        recognizer_with(attributes="dlib-resnet-int8").faces(group)
    with pytest.raises(CalibrationError, match="likeness calibrate raw"):
        recognizer_with(attributes=str(write_bundle(tmp_path / "raw", calibrated=False).folder)).faces(group)
