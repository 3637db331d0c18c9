"""Networks that tell age and gender, alone or beside embeddings."""

from __future__ import annotations

import numpy as np
import pytest

from attribute_bundles import SIDE_PX, face, write_bundle
from likeness.bundle import Bundle, Library
from likeness.errors import BundleCorrupt, CalibrationError, LicenceForbids, ModelError, ModelNotFound
from likeness.vision.attributes import AttributeLogits, Teller, choose_attributes

AGES = (7.0, 30.0, 62.0, 85.0)


@pytest.fixture
def crops() -> np.ndarray:
    return np.stack([face(age, female=at % 2 == 0) for at, age in enumerate(AGES)])


@pytest.fixture
def library(tmp_path) -> Library:
    return Library((tmp_path / "own",), tmp_path / "cache")


@pytest.mark.parametrize("role", ["attributes", "embedder"])
@pytest.mark.parametrize("flip", [False, True], ids=["as it is", "with its mirror image"])
def test_a_bundle_tells_the_age_and_gender_of_each_face(tmp_path, crops, role, flip):
    bundle = write_bundle(tmp_path / "colours", role=role, flip=flip)
    told = Teller(bundle).tell(bundle.load(threads=1).attribute_logits(crops))
    assert [age.years for age, _ in told] == pytest.approx(AGES, abs=1.5)
    assert all(age.low < age.years < age.high for age, _ in told)
    assert [gender.label for _, gender in told] == ["female", "male", "female", "male"]
    # One face in ten of those that calibrated it had the other gender than its colours say.
    assert [gender.probability for _, gender in told] == pytest.approx([0.9] * 4, abs=0.06)


def test_one_pass_gives_the_same_embeddings_as_embedding_alone(tmp_path, crops):
    embedder = write_bundle(tmp_path / "all", role="embedder", flip=True).load(threads=1)
    vectors, logits = embedder.embed_and_tell(crops)
    assert np.array_equal(vectors, embedder.embed(crops))
    assert np.array_equal(logits.age, embedder.attribute_logits(crops).age)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(4))


def test_the_logits_of_both_views_are_averaged(tmp_path):
    half = np.zeros((1, SIDE_PX, SIDE_PX, 3), np.uint8)
    half[:, :, : SIDE_PX // 2, 0] = 200  # the network looks at the left half
    plain = write_bundle(tmp_path / "plain").load(threads=1)
    both = write_bundle(tmp_path / "both", flip=True).load(threads=1)
    expected = (plain.attribute_logits(half).age + plain.attribute_logits(half[:, :, ::-1].copy()).age) / 2
    assert both.attribute_logits(half).age == pytest.approx(expected, rel=1e-6)
    assert not np.allclose(both.attribute_logits(half).age, plain.attribute_logits(half).age)


def test_more_faces_than_a_batch_are_told_in_order(tmp_path):
    ages = np.linspace(5, 90, 37)
    bundle = write_bundle(tmp_path / "colours")
    told = Teller(bundle).tell(bundle.load(threads=1).attribute_logits(np.stack([face(a, female=True) for a in ages])))
    assert [age.years for age, _ in told] == pytest.approx(ages, abs=1.5)


@pytest.mark.parametrize("crops", [np.zeros((1, 10, 10, 3), np.uint8), np.zeros((0, SIDE_PX, SIDE_PX, 3), np.uint8)])
def test_crops_of_another_shape_are_refused(tmp_path, crops):
    with pytest.raises(ValueError, match="expected crops of shape"):
        write_bundle(tmp_path / "colours").load(threads=1).attribute_logits(crops)


def test_an_embedder_that_tells_nothing_says_so(tmp_path, crops):
    bundle = write_bundle(tmp_path / "mute", role="embedder", told=False)
    with pytest.raises(BundleCorrupt, match="tells no age and gender"):
        bundle.load(threads=1).embed_and_tell(crops)
    with pytest.raises(ModelError, match="tells no age and gender"):
        Teller(bundle)


def test_a_manifest_that_promises_other_ages_is_refused(tmp_path, crops):
    bundle = write_bundle(tmp_path / "odd", attributes={"first_year": 0, "age_bins": 50, "labels": "none"})
    with pytest.raises(BundleCorrupt, match="its manifest says 50 ages"):
        bundle.load(threads=1).attribute_logits(crops)


def test_numbers_that_are_none_are_refused(tmp_path):
    bundle = write_bundle(tmp_path / "colours")
    outputs = {"age_logits": np.full((1, 101), np.nan, np.float32), "gender_logit": np.zeros(1, np.float32)}
    with pytest.raises(BundleCorrupt, match="no numbers"):
        AttributeLogits.of(outputs, bundle)


def test_an_uncalibrated_bundle_tells_nothing_and_says_what_to_do(tmp_path):
    with pytest.raises(CalibrationError, match="carries no calibration") as caught:
        Teller(write_bundle(tmp_path / "raw", calibrated=False))
    assert "likeness calibrate raw" in caught.value.hint


def plain_embedder(library: Library) -> Bundle:
    return library.find("dlib-resnet-int8")


def test_auto_takes_the_embedder_that_tells_and_else_what_came_with_the_installation(tmp_path, library):
    telling = write_bundle(tmp_path / "all", role="embedder")
    assert choose_attributes("auto", library, telling) == telling
    shipped = [bundle for bundle in library.shipped() if bundle.has("attributes")]
    expected = min(shipped, key=lambda each: each.manifest.role != "attributes", default=None)
    assert choose_attributes("auto", library, plain_embedder(library)) == expected


def test_auto_passes_over_an_embedder_that_is_not_calibrated_and_says_so(tmp_path, library):
    said: list[str] = []
    raw = write_bundle(tmp_path / "raw", role="embedder", calibrated=False)
    assert choose_attributes("auto", library, raw, said.append) != raw
    assert "raw tells age and gender, but is not calibrated" in said[0]


def test_a_name_is_found_and_none_switches_it_off(tmp_path, library):
    named = write_bundle(tmp_path / "own" / "named")
    assert choose_attributes("named", library, plain_embedder(library)) == named
    assert choose_attributes("none", library, named) is None
    with pytest.raises(ModelNotFound):
        choose_attributes("nobody", library, named)


def test_a_commercial_library_refuses_attributes_that_do_not_document_it(tmp_path):
    write_bundle(tmp_path / "own" / "research", licence={"commercial": False, "data": "for research only"})
    library = Library((tmp_path / "own",), tmp_path / "cache", commercial=True)
    with pytest.raises(LicenceForbids, match=r"research: its card forbids commercial use .*for research only"):
        choose_attributes("research", library, plain_embedder(library))
