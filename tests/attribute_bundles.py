"""Tiny bundles that tell age and gender from colours, and such faces: what a test knows the answer to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from likeness.apparent import AttributeCalibration, fit_attributes
from likeness.bundle import PACKAGED, Bundle, sha256_of, write_manifest
from likeness.data.dataset import CropFacts, Dataset, Facts
from likeness.data.manifest import Row

YEARS = np.arange(101.0)
SPREAD_YEARS = 5.0
SIDE_PX = 64
SPACE = "colours"
TEMPLATE = Bundle.read(PACKAGED / "dlib-resnet-int8").manifest.alignment.template_px


def face(age_years: float, *, female: bool, side_px: int = SIDE_PX) -> np.ndarray:
    """A crop `(side, side, 3)` whose network answers are known: red is the age, green and blue the gender."""
    crop = np.zeros((side_px, side_px, 3), np.uint8)
    crop[..., 0] = round(age_years * 255 / 100)
    crop[..., 1 if female else 2] = 200
    return crop


def write_bundle(
    folder: Path,
    *,
    role: str = "attributes",
    side_px: int = SIDE_PX,
    calibrated: bool = True,
    flip: bool = False,
    told: bool = True,
    licence: dict[str, Any] | None = None,
    **manifest: Any,
) -> Bundle:
    """A bundle in a new folder: of the role `embedder` one network gives embeddings too, after the attributes."""
    folder.mkdir(parents=True)
    _write_network(folder / "model.onnx", side_px, embeddings=role == "embedder", told=told)
    roles = {"model": "model.onnx"}
    if calibrated and told:
        (folder / "attributes.json").write_text(json.dumps(calibration().as_dict()))
        roles["attributes"] = "attributes.json"
    scale = side_px / 150
    facts: dict[str, Any] = {
        "name": folder.name,
        "version": "1",
        "role": role,
        "engine": "aligned-crop",
        "summary": "Tells age and gender from colours.",
        "input": {"side_px": side_px},
        "alignment": {"template_px": [[x * scale, y * scale] for x, y in TEMPLATE]},
        "embedding": {"dimension": 8, "space": SPACE} if role == "embedder" else None,
        "attributes": {"first_year": 0, "age_bins": 101, "labels": "colours, which are nobody's age"} if told else None,
        "parameters": {"flip": True} if flip else {},
        "licence": {"code": "Apache-2.0", "weights": "CC0-1.0", "data": "made up", "commercial": True}
        | (licence or {}),
    }
    write_manifest(folder, facts | manifest, roles)
    return Bundle.read(folder)


def calibration() -> AttributeCalibration:
    """Fitted on faces whose colours err by five years, and whose gender is one in ten wrong."""
    random = np.random.default_rng(0)
    age = random.uniform(5, 90, 2000)
    guess = np.clip(age + random.normal(0, SPREAD_YEARS, 2000), 0, 100)
    female = random.random(2000) < 0.5
    shown = np.where(random.random(2000) < 0.1, ~female, female)
    logits = (guess[:, None] * YEARS - YEARS**2 / 2) / SPREAD_YEARS**2
    return fit_attributes(logits, np.where(shown, 1.0, -1.0), YEARS, age, female.astype(float), data="made colours")


def _write_network(path: Path, side_px: int, *, embeddings: bool, told: bool) -> None:
    """Pixels `(n, s, s, 3)` → mean colours of the left half (so that mirror images differ) → the answers."""
    random = np.random.default_rng(1)
    weights: dict[str, np.ndarray] = {
        "starts": np.array([0, 0]),
        "ends": np.array([side_px, side_px // 2]),
        "axes": np.array([1, 2]),
        # softmax((g·y − y²/2) / σ²) is a Gaussian about the age g that the red says
        "age_w": np.stack([YEARS * 100 / 255, 0 * YEARS, 0 * YEARS]).astype(np.float32) / SPREAD_YEARS**2,
        "age_b": (-(YEARS**2) / 2 / SPREAD_YEARS**2).astype(np.float32),
        "gender_w": np.array([[0.0], [0.005], [-0.005]], np.float32),
        "gender_b": np.zeros(1, np.float32),
        "embed_w": random.normal(size=(3, 8)).astype(np.float32),
        "embed_b": random.normal(size=8).astype(np.float32),
        "last": np.array([1]),
    }
    nodes = [
        helper.make_node("Slice", ["faces", "starts", "ends", "axes"], ["half"]),
        helper.make_node("Cast", ["half"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["floats", "axes"], ["colours"], keepdims=0),
    ]
    outputs = []
    if told:
        nodes += [
            helper.make_node("Gemm", ["colours", "age_w", "age_b"], ["age_logits"]),
            helper.make_node("Gemm", ["colours", "gender_w", "gender_b"], ["gender"]),
            helper.make_node("Squeeze", ["gender", "last"], ["gender_logit"]),
        ]
        outputs += [("age_logits", ["n", 101]), ("gender_logit", ["n"])]
    if embeddings or not told:
        nodes.append(helper.make_node("Gemm", ["colours", "embed_w", "embed_b"], ["embeddings"]))
        outputs.append(("embeddings", ["n", 8]))
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info("faces", TensorProto.UINT8, ["n", side_px, side_px, 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 20)])
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def write_faces(folder: Path, count: int, *, seed: int = 0, side_px: int = SIDE_PX) -> Dataset:
    """A data set of nameless colour crops: the colours err as those of `calibration` do; half train, a quarter each."""
    random = np.random.default_rng(seed)
    (folder / "crops").mkdir(parents=True)
    rows = []
    for number in range(count):
        age = int(random.integers(5, 90))
        female, shown = bool(random.random() < 0.5), bool(random.random() < 0.9)
        guess = float(np.clip(age + random.normal(0, SPREAD_YEARS), 0, 100))
        path = f"crops/{number:04d}.png"
        crop = face(guess, female=female == shown, side_px=side_px)
        crop[-1, -1] = (*divmod(number, 256), 0)  # where the network does not look: no two files are equal
        Image.fromarray(crop).save(folder / path)
        labels = {"age_years": float(age), "gender": "female" if female else "male", "group": "ab"[number // 4 % 2]}
        split = ("train", "train", "validation", "test")[number % 4]
        rows.append(Row(path=path, labels=labels, split=split, sha256=sha256_of(folder / path), licence="made up"))
    scale = side_px / 150
    template = tuple((x * scale, y * scale) for x, y in TEMPLATE)
    crops = CropFacts(side_px=side_px, template_px=template, detector="mtcnn")
    dataset = Dataset(folder, Facts(name="colours", source="test", licence="made up", crops=crops), tuple(rows))
    dataset.write()
    return dataset
