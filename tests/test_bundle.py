"""Model bundles: found, verified, made; refused when damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from likeness.bundle import PACKAGED, Bundle, Library
from likeness.errors import BundleCorrupt, ModelNotFound, StorageError


@pytest.fixture
def own(tmp_path: Path) -> Path:
    shutil.copytree(PACKAGED / "dlib-resnet-int8", tmp_path / "models" / "mine")
    manifest = tmp_path / "models" / "mine" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"name": "dlib-resnet-int8"', '"name": "mine"'))
    return tmp_path / "models"


def test_a_bundle_is_found_in_the_users_own_folder(own: Path, tmp_path: Path) -> None:
    assert Library((own,), tmp_path / "cache").find("mine").manifest.name == "mine"


def test_a_bundle_is_found_by_path(own: Path, tmp_path: Path) -> None:
    assert Library((), tmp_path).find(str(own / "mine")).manifest.name == "mine"


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="mtcnn"):
        Library((), tmp_path).find("no-such-model")


def test_a_bundle_of_the_catalogue_is_made_once_and_says_so(tmp_path: Path) -> None:
    said: list[str] = []
    library = Library((), tmp_path / "cache", said.append)
    assert not library.ready("dlib-resnet-float32")
    library.find("dlib-resnet-float32").verify()
    library.find("dlib-resnet-float32").verify()
    assert len(said) == 1
    assert "dlib-resnet-float32" in said[0]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["dlib-resnet-float32"]


def test_one_changed_byte_is_noticed(own: Path) -> None:
    model = own / "mine" / "model.onnx"
    data = bytearray(model.read_bytes())
    data[len(data) // 2] ^= 1
    model.write_bytes(bytes(data))
    with pytest.raises(BundleCorrupt, match="sha256"):
        Bundle.read(own / "mine").path("model")


def test_a_path_that_is_no_folder_is_no_bundle(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(BundleCorrupt, match="cannot be read"):
        Library((), tmp_path).find(str(tmp_path / "photo.jpg"))


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written to"):
        Library((), tmp_path / "file").find("dlib-resnet-float32")


def test_what_results_depend_on_is_in_the_fingerprint_and_nothing_else(own: Path) -> None:
    bundle = Bundle.read(own / "mine")
    manifest = bundle.manifest
    assert manifest.input is not None

    def fingerprint(**change: object) -> str:
        return Bundle(bundle.folder, manifest.model_copy(update=change)).fingerprint

    assert fingerprint(input=manifest.input.model_copy(update={"channels": "BGR"})) != bundle.fingerprint
    assert fingerprint(engine="another") != bundle.fingerprint
    assert fingerprint(summary="another") == bundle.fingerprint


def test_a_missing_file_is_named(own: Path) -> None:
    (own / "mine" / "model.onnx").unlink()
    with pytest.raises(BundleCorrupt, match=r"lacks its file model\.onnx"):
        Bundle.read(own / "mine").verify()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "a format of the future"),
        ({"role": "oracle"}, "an unknown role"),
        ({"surprise": 1}, "an unknown field"),
        ({"files": {"model": {"path": "../../etc/passwd", "sha256": "0" * 64, "bytes": 1}}}, "a path that climbs out"),
        ({"files": {"model": {"path": "/etc/passwd", "sha256": "0" * 64, "bytes": 1}}}, "an absolute path"),
        ({"name": "../evil"}, "a name that climbs out"),
    ],
)
def test_a_malformed_manifest_is_refused(own: Path, change: dict[str, object], reason: str) -> None:
    path = own / "mine" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(BundleCorrupt):
        Bundle.read(own / "mine")


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\xff", '"manifest"'])
def test_a_manifest_that_is_no_json_object_is_refused(own: Path, text: str) -> None:
    (own / "mine" / "manifest.json").write_text(text, "latin-1")
    with pytest.raises(BundleCorrupt):
        Bundle.read(own / "mine")


def test_a_network_that_cannot_be_loaded_is_a_corrupt_bundle(tmp_path: Path) -> None:
    from likeness.vision.session import Session

    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(BundleCorrupt, match=r"model\.onnx"):
        Session(path).run()
