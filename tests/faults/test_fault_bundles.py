"""Model bundles that change on the disk: before they are loaded they are refused, afterwards they change nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from likeness.bundle import PACKAGED, Bundle
from likeness.cli import run
from likeness.errors import BundleCorrupt
from likeness.gallery import open_gallery

CROPS = np.random.default_rng(0).integers(0, 255, (2, 150, 150, 3)).astype(np.uint8)


@pytest.fixture
def bundle(tmp_path) -> Path:
    """A copy of the default embedder under its own name, in a folder of models."""
    folder = tmp_path / "models" / "mine"
    shutil.copytree(PACKAGED / "dlib-resnet-int8", folder)
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"name": "dlib-resnet-int8"', '"name": "mine"'))
    return folder


def exchange(folder: Path) -> None:
    """Put other bytes of the same length in the place of a network."""
    data = bytearray((folder / "model.onnx").read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 64):
        data[at] ^= 0xFF
    (folder / "other").write_bytes(bytes(data))
    (folder / "other").replace(folder / "model.onnx")


def other_calibration(folder: Path) -> None:
    """Put another calibration in the place of the bundle's."""
    (folder / "calibration.json").write_text("{}")


def test_a_network_that_was_exchanged_between_its_check_and_its_loading_is_not_run(bundle):
    embedder = Bundle.read(bundle).load(threads=1)  # checked now, loaded when it is first run
    exchange(bundle)
    with pytest.raises(BundleCorrupt, match="changed since") as told:
        embedder.embed(CROPS)
    assert told.value.hint
    assert told.value.exit_code == 6


def test_a_network_that_vanished_before_it_was_loaded_is_told(bundle):
    embedder = Bundle.read(bundle).load(threads=1)
    shutil.rmtree(bundle)
    with pytest.raises(BundleCorrupt, match="cannot be read"):
        embedder.embed(CROPS)


def test_a_network_that_is_loaded_gives_the_same_numbers_whatever_becomes_of_its_file(bundle):
    embedder = Bundle.read(bundle).load(threads=1)
    before = embedder.embed(CROPS)
    exchange(bundle)
    assert np.array_equal(embedder.embed(CROPS), before)
    (bundle / "model.onnx").write_bytes(b"")
    shutil.rmtree(bundle)
    assert np.array_equal(embedder.embed(CROPS), before)


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (exchange, "bundle_corrupt"),
        (lambda folder: (folder / "model.onnx").unlink(), "bundle_corrupt"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), "bundle_corrupt"),
        (other_calibration, "bundle_corrupt"),
        (lambda folder: (folder / "manifest.json").write_text("{"), "bundle_corrupt"),
    ],
    ids=["other bytes", "no network", "an empty network", "another calibration", "half a manifest"],
)
def test_a_changed_bundle_ends_a_command_with_its_code_and_the_gallery_is_as_it_was(
    bundle, damage, code, gallery_path, samples, monkeypatch, capsys
):
    monkeypatch.setenv("LIKENESS_MODELS", str(bundle.parent))
    damage(bundle)
    where = ["--gallery", str(gallery_path), "--json"]
    photo = str(samples / "probes" / "stranger_1.jpg")
    asked = ["identify", photo] if damage is other_calibration else ["enroll", photo, "--name", "New"]
    assert run([*asked, "--model", "mine", *where]) == 6
    said = capsys.readouterr()
    errors = [json.loads(line)["error"] for line in (said.out + said.err).splitlines() if line.startswith('{"error"')]
    assert [error["code"] for error in errors] == [code]
    assert run(["gallery", "check", "--gallery", str(gallery_path)]) == 0
    with open_gallery(gallery_path, create=False) as gallery:
        assert gallery.info().faces == 48
