"""The converted embedder against dlib's own program, on the same chips."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest

from likeness.bundle import CATALOGUE, PACKAGED, Bundle, make_bundle
from likeness.convert import source
from likeness.errors import BundleCorrupt, WeightsMissing
from likeness.recognizer import Recognizer
from likeness.vision.session import Session

dlib = pytest.importorskip("dlib")
WEIGHTS = "models/dlib_face_recognition_resnet_model_v1.dat"


@pytest.fixture(scope="module")
def chips(samples: Path, recognizer: Recognizer) -> np.ndarray:
    """Aligned faces of the samples, and patterns that no face has."""
    faces = [recognizer.face(path).crop for path in sorted(samples.glob("probes/*_new.jpg"))[:6]]
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (3, 10, 10, 3)).repeat(15, axis=1).repeat(15, axis=2)
    noise = rng.integers(-20, 20, smooth.shape)
    return np.concatenate([np.stack(faces), (smooth + noise).clip(0, 255).astype(np.uint8)])


@pytest.fixture(scope="module")
def reference(chips: np.ndarray) -> np.ndarray:
    network = dlib.face_recognition_model_v1(str(source.locate("face_recognition_models", WEIGHTS)))
    return np.array([network.compute_face_descriptor(chip) for chip in chips])


@pytest.fixture(scope="module")
def float_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("float32")
    make_bundle(CATALOGUE / "dlib-resnet-float32", folder)
    return Bundle.read(folder)


def test_float_embeddings_equal_dlibs_within_1e_4(
    float_bundle: Bundle, chips: np.ndarray, reference: np.ndarray
) -> None:
    (ours,) = Session(float_bundle.path("model")).run(faces=chips)
    np.testing.assert_allclose(ours, reference, atol=1e-4)


def test_int8_embeddings_point_where_dlibs_do(chips: np.ndarray, reference: np.ndarray) -> None:
    (ours,) = Session(Bundle.read(PACKAGED / "dlib-resnet-int8").path("model")).run(faces=chips)
    cosine = (ours * reference).sum(axis=1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(reference, axis=1)
    assert cosine.min() > 0.995


def test_int8_weights_leave_room_for_processors_that_add_products_in_16_bits() -> None:
    model = onnx.load(PACKAGED / "dlib-resnet-int8" / "model.onnx")
    weights = [onnx.numpy_helper.to_array(w) for w in model.graph.initializer if w.name.endswith(".w.int8")]
    assert len(weights) == 29
    assert max(int(np.abs(weight.astype(int)).max()) for weight in weights) * 255 * 2 <= np.iinfo(np.int16).max


def test_embeddings_do_not_depend_on_the_batch(float_bundle: Bundle, chips: np.ndarray) -> None:
    session = Session(float_bundle.path("model"))
    (together,) = session.run(faces=chips)
    alone = np.concatenate([session.run(faces=chip[None])[0] for chip in chips])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("name", ["mtcnn", "dlib-resnet-int8"])
def test_the_installed_bundle_is_what_the_converter_makes_of_the_published_weights(name: str, tmp_path: Path) -> None:
    make_bundle(CATALOGUE / name, tmp_path)
    made, installed = Bundle.read(tmp_path), Bundle.read(PACKAGED / name)
    assert made.manifest.model_dump(exclude={"files"}) == installed.manifest.model_dump(exclude={"files"})
    if name == "mtcnn":
        one, two = np.zeros((1, 24, 24, 3), np.uint8), np.full((1, 24, 24, 3), 200, np.uint8)
        for probe in (one, two):
            results = [Session(bundle.path("rnet")).run(pixels=probe) for bundle in (made, installed)]
            for left, right in zip(*results, strict=True):
                np.testing.assert_array_equal(left, right)
    else:
        probe = np.random.default_rng(1).integers(0, 256, (2, 150, 150, 3), np.uint8)
        (left,), (right,) = (Session(bundle.path("model")).run(faces=probe) for bundle in (made, installed))
        np.testing.assert_array_equal(left, right)


def test_a_manifest_states_origin_and_licence(float_bundle: Bundle) -> None:
    manifest = float_bundle.manifest
    assert manifest.licence.weights == "CC0-1.0"
    assert manifest.origin["package"] == "face_recognition_models"
    assert len(manifest.origin["files"][0]["sha256"]) == 64


def test_changed_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.dat"
    path.write_bytes(b"not the weights")
    with pytest.raises(BundleCorrupt, match="sha256"):
        source.read_verified(path, "0" * 64)


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(WeightsMissing, match=r"likeness\[weights\]"):
        source.locate("no_such_package_of_weights", "file.dat")


def test_sources_are_located_without_importing_their_package() -> None:
    import sys

    source.locate("mtcnn", "assets/weights/pnet.lz4")
    assert "mtcnn" not in sys.modules
    assert resources.files("likeness").joinpath("catalogue").is_dir()
