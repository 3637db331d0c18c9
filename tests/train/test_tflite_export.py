"""A network as a TensorFlow Lite file, run by LiteRT's interpreter in the environment that can do so (make tflite)."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from likeness.bundle import PACKAGED, Bundle, InputSpec
from likeness.calibration import Calibration
from likeness.errors import BundleCorrupt, ExtraMissing
from likeness.train.phone import phone_facts
from likeness.train.tflite_export import export_tflite, quantize_tflite

pytestmark = pytest.mark.timeout(600)  # converting takes twenty seconds of an idle core, minutes of a busy one
ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-tflite" / "bin" / "python"


@pytest.fixture(scope="module")
def trial(samples, tmp_path_factory) -> tuple[dict[str, Any], Path]:
    """What tflite_trial.py found, and the folder with its files."""
    if not PYTHON.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{PYTHON} is missing: make tflite")
        pytest.skip("the environment for TensorFlow Lite is not there: make tflite")
    folder = tmp_path_factory.mktemp("tflite")
    photos = sorted((samples / "people").glob("*/0[12].jpg"))
    crops = [np.asarray(Image.open(path).convert("RGB").resize((64, 64))) for path in photos]
    np.save(folder / "crops.npy", np.stack(crops))
    script = Path(__file__).parent / "tflite_trial.py"
    done = subprocess.run(
        [PYTHON, script, folder, folder / "crops.npy"], capture_output=True, text=True, check=False, timeout=560
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), folder  # nothing but the result is on stdout


@pytest.mark.tflite
@pytest.mark.slow
def test_the_phones_file_gives_the_networks_embeddings(trial) -> None:
    found, _ = trial
    assert found["parity"]["max_difference"] <= 1e-4
    assert found["parity"]["samples"] > 16
    assert found["shape"] == [3, 128]


@pytest.mark.tflite
@pytest.mark.slow
def test_eight_bits_stay_near_and_take_a_third(trial) -> None:
    found, _ = trial
    assert found["dynamic"]["mean_cosine"] > 0.99
    assert found["weights"]["mean_cosine"] > 0.995
    assert found["static"]["mean_cosine"] > 0.9
    for kind in ("dynamic", "weights", "static"):
        assert found[kind]["bytes_after"] < found[kind]["bytes_before"] / 3


@pytest.mark.tflite
@pytest.mark.slow
def test_what_an_app_must_know_is_in_the_file_and_beside_it(trial) -> None:
    found, folder = trial
    for name, precision in (("floats", "float32"), ("dynamic", "8-bit")):
        beside = json.loads((folder / f"{name}.json").read_text())
        file = beside.pop("file")
        assert file["sha256"] == hashlib.sha256((folder / f"{name}.tflite").read_bytes()).hexdigest()
        assert beside["precision"].startswith(precision)
        assert beside == found["facts" if name == "floats" else f"{name} facts"]
    facts = found["facts"]
    assert facts["input"]["shape"] == [1, 64, 64, 3]
    assert (facts["input"]["channels"], facts["input"]["range"]) == ("RGB", [0, 255])
    assert not [path for path in folder.iterdir() if path.suffix == ".part"]
    assert str(folder).encode() not in (folder / "floats.tflite").read_bytes()


def test_without_the_extra_the_error_says_what_to_install(tmp_path: Path) -> None:
    spec = InputSpec(side_px=32)
    with pytest.raises(ExtraMissing) as caught:
        export_tflite(nn.Identity(), spec, tmp_path / "x.tflite")
    assert caught.value.hint is not None
    assert "pip install 'likeness[tflite]'" in caught.value.hint
    with pytest.raises(ExtraMissing):
        quantize_tflite(tmp_path / "x.tflite", tmp_path / "y.tflite")
    assert not list(tmp_path.iterdir())


def test_a_phones_facts_hold_the_threshold_of_the_calibration() -> None:
    bundle = Bundle.read(PACKAGED / "dlib-resnet-int8")
    calibration = Calibration.read(bundle.path("calibration"))
    facts = phone_facts(bundle.manifest, calibration, InputSpec(side_px=150, mean=(1, 2, 3)))
    assert facts["threshold"]["false_match_rate"] == 1e-3
    assert facts["threshold"]["cosine"] == pytest.approx(calibration.threshold(1e-3), abs=1e-5)
    assert facts["output"] == facts["output"] | {"dimension": 128, "space": "dlib-resnet-v1", "add_mirror_image": True}
    assert facts["input"]["mean"] == [0, 0, 0]
    assert facts["input"]["normalised_inside"]["mean"] == [1, 2, 3]
    assert len(facts["alignment"]["template_px"]) == len(facts["alignment"]["landmarks"]) == 5
    assert phone_facts(bundle.manifest, None, InputSpec(side_px=150))["threshold"] is None


def test_a_calibration_of_another_space_or_no_embedder_is_refused() -> None:
    bundle = Bundle.read(PACKAGED / "dlib-resnet-int8")
    calibration = Calibration.read(bundle.path("calibration"))
    object.__setattr__(calibration, "space", "other")
    with pytest.raises(BundleCorrupt, match="other"):
        phone_facts(bundle.manifest, calibration, InputSpec(side_px=150))
    with pytest.raises(BundleCorrupt, match="mtcnn"):
        phone_facts(Bundle.read(PACKAGED / "mtcnn").manifest, None, InputSpec(side_px=150))
