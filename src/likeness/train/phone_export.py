"""A bundle's network as TensorFlow Lite files for a phone, with what the phone must know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from likeness.bundle import Bundle, InputSpec
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError, ModelError
from likeness.evaluate.dataset import calibration_of, expect_template
from likeness.train.bundling import tell_dropped
from likeness.train.crops import load_crops
from likeness.train.from_onnx import OnnxNetwork
from likeness.train.material import by_person
from likeness.train.phone import phone_facts
from likeness.train.tflite_export import expect_extra, export_tflite, quantize_tflite
from likeness.types import Pixels

REAL_CROPS = 64


def export_for_phone(
    bundle: Bundle, folder: Path, *, dataset: Dataset | None = None, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Write `NAME.tflite` in floats and `NAME-int8.tflite` in eight bits, each with its facts inside and as `.json`.

    Both are run and compared with the bundle's network, with `dataset` on its crops too. The facts hold the threshold
    of the bundle's calibration, so calibrate first.

    Raises:
        ModelError: the bundle is no embedder, or its network cannot be converted.
        Conflict: one of the files is there already.
        ExtraMissing: the packages for TensorFlow Lite are not installed.
    """
    expect_extra()
    manifest = bundle.manifest
    if manifest.embedding is None or manifest.input is None or not bundle.has("model"):
        raise ModelError(f"{manifest.name} is no embedder", hint="`likeness models list` says what each model does")
    tell_dropped(bundle, say)
    if dataset is not None:
        expect_template(bundle, dataset)
    floats, bytes_ = folder / f"{manifest.name}.tflite", folder / f"{manifest.name}-int8.tflite"
    for path in (floats, bytes_):
        if path.exists():
            raise Conflict(f"{str(path)!r} is there already", hint="name another folder")
    side = manifest.input.side_px
    spec = InputSpec(side_px=side, layout="NCHW", dtype="float32")
    calibration = calibration_of(bundle)
    if calibration is None:
        say("The bundle has no calibration: the files will state no threshold.")
    facts = phone_facts(manifest, calibration, spec)
    crops = None if dataset is None else some_crops(dataset, side)
    network = OnnxNetwork(bundle.path("model"), manifest.embedding.dimension)
    say("Converting to TensorFlow Lite …")
    parity = export_tflite(network, spec, floats, facts=facts, crops=crops)
    say("Quantizing …")
    quantized = quantize_tflite(floats, bytes_, facts=facts, crops=crops)
    return {
        "float32": {"file": str(floats), "bytes": floats.stat().st_size} | parity.as_dict(),
        "int8": {"file": str(bytes_)} | quantized.as_dict(),
    }


def some_crops(dataset: Dataset, side_px: int) -> Pixels:
    """One crop of each of up to 64 people, in order of a fixed draw; where nobody is named 64 crops.

    Raises:
        DatasetError: there are none.
    """
    groups = list(by_person(dataset.rows).values()) or [[row] for row in dataset.rows]
    if not groups:
        raise DatasetError(f"the data set {str(dataset.folder)!r} has no crops to compare on")
    drawn = np.random.default_rng(0).permutation(len(groups))[:REAL_CROPS]
    return load_crops(dataset, [groups[at][0] for at in drawn], side_px)
