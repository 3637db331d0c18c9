"""A trained network as a TensorFlow Lite file for phones, in floats and in eight bits, with what an app must know.

The file takes pixels as they are, as floats: an app has nothing to normalise, and nothing to get wrong there. What else
it must know (size, alignment, threshold, licences) stands as JSON beside the file and, in the same words, inside it.
"""

from __future__ import annotations

import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from likeness.bundle import InputSpec, sha256_of
from likeness.errors import ExportFailed, ExtraMissing
from likeness.train.parity import (
    Parity,
    check_parity,
    cosines,
    exportable,
    frozen_copy,
    ms_a_face,
    probe_crops,
    run_network,
)
from likeness.train.phone import PHONE_INPUT, PHONE_OUTPUT
from likeness.train.quantize import Quantized, centred_cosine
from likeness.types import Pixels, Vector

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["dynamic", "weights", "static"]
FACTS = "likeness.json"
"""Name of the metadata inside the file."""
_MODULES = ("litert_torch", "ai_edge_litert", "ai_edge_quantizer")
_WORDS: dict[Kind, str] = {
    "dynamic": "8-bit weights by channel; activations to 8 bits while it runs",
    "weights": "8-bit weights by channel, made floats again while it runs",
    "static": "8-bit weights by channel and 8-bit activations; floats go in and come out",
}


def expect_extra() -> None:
    """Make sure that the packages for TensorFlow Lite are there.

    Raises:
        ExtraMissing: one is not.
    """
    missing = [name for name in _MODULES if find_spec(name) is None]
    if missing:
        raise ExtraMissing(
            f"TensorFlow Lite files need the package {missing[0].replace('_', '-')}",
            hint="pip install 'likeness[tflite]', in an environment of its own: it wants older versions of others",
        )


def export_tflite(
    network: nn.Module,
    spec: InputSpec,
    target: Path,
    *,
    facts: Mapping[str, Any] | None = None,
    crops: Pixels | None = None,
) -> Parity:
    """Write a network `(n, 3, s, s)` float32 → `(n, d)` as TensorFlow Lite; how near the file comes to it.

    The file takes `faces` `(1, s, s, 3)` float32 RGB of 0 to 255 and gives `embeddings` `(1, d)`, not of unit length.
    It is run by LiteRT's interpreter and compared with the network, on made crops and on real ones `crops`
    `(m, s, s, 3)` uint8 where given, and put in place only if they agree. `facts` (of `likeness.train.phone`) go
    into the file and beside it.

    Raises:
        ExportFailed: it cannot be converted, or the file gives other embeddings (more than 1e-4 apart).
        ExtraMissing: the extra `tflite` is not installed.
    """
    expect_extra()
    quiet = frozen_copy(network)
    probes = probe_crops(spec.side_px, crops)
    (expected,) = run_network(quiet, spec, probes)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    try:
        _convert(_Named(exportable(quiet, spec)).eval(), spec.side_px, part)
        parity = check_parity(f"the TensorFlow Lite file {target.name}", expected, run_tflite(part, probes))
        _place(part, target, facts)
    finally:
        part.unlink(missing_ok=True)
    return parity


def quantize_tflite(
    source: Path,
    target: Path,
    *,
    kind: Kind = "dynamic",
    facts: Mapping[str, Any] | None = None,
    crops: Pixels | None = None,
    seen: Pixels | None = None,
) -> Quantized:
    """Quantize a file of `export_tflite` to eight bits; its input and output stay floats.

    `dynamic` is the quickest on phones' processors, `weights` the most exact; `static` is for accelerators that do
    integers only, costs most, and needs crops `seen` `(m, s, s, 3)` uint8 to calibrate on. What it costs is measured
    on real crops `crops` where given, else on made ones alone, which are no faces and say less.

    Raises:
        ExtraMissing: the extra `tflite` is not installed.
        ValueError: `static` without `seen`.
    """
    expect_extra()
    from ai_edge_quantizer.quantizer import Quantizer

    if (kind == "static") != (seen is not None):
        raise ValueError(f"expected crops to calibrate on with kind='static' and with no other, got kind={kind!r}")
    with _quiet():
        quantizer = Quantizer(str(source))
        quantizer.load_quantization_recipe(_recipe(kind))
        ranges = None
        if seen is not None:
            batches = [{PHONE_INPUT: crop[None].astype(np.float32)} for crop in seen]
            ranges = quantizer.calibrate({_signature(source): batches}, num_threads=1)
        result = quantizer.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
    part = target.with_name(f".{target.name}.part")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        part.write_bytes(bytes(result.quantized_model))
        _place(part, target, None if facts is None else {**facts, "precision": _WORDS[kind]})
    finally:
        part.unlink(missing_ok=True)
    probes = crops if crops is not None else probe_crops(_side_px(source))
    vectors, floats = (run_tflite(path, probes) for path in (target, source))
    near = cosines(vectors, floats)
    return Quantized(
        bytes_before=source.stat().st_size,
        bytes_after=target.stat().st_size,
        mean_cosine=float(near.mean()),
        min_cosine=float(near.min()),
        centred_cosine=centred_cosine(vectors, floats),
        told_apart={},
        crops=len(probes),
        ms_before=_ms_a_face(source, probes),
        ms_after=_ms_a_face(target, probes),
        kept_float=(),
        weighted_layers=0,
        method=f"ai-edge-quantizer: {_WORDS[kind]}",
    )


def run_tflite(path: Path, crops: Pixels, *, threads: int = 2) -> Vector:
    """Raw embeddings `(n, d)` of crops `(n, s, s, 3)` uint8 by LiteRT's interpreter, as a phone runs it."""
    run = _runner(path, threads)
    return np.concatenate([run(crop[None]) for crop in crops])


def read_facts(path: Path) -> dict[str, Any] | None:
    """The facts inside a TensorFlow Lite file, if it holds any."""
    expect_extra()
    from ai_edge_litert.tools import flatbuffer_utils

    model = flatbuffer_utils.read_model(str(path))
    for entry in model.metadata or ():
        if entry.name == FACTS.encode():
            found: dict[str, Any] = json.loads(bytes(model.buffers[entry.buffer].data))
            return found
    return None


class _Named(nn.Module):
    """A network whose output has a name."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        return {PHONE_OUTPUT: self.network(faces)}


def _convert(module: nn.Module, side_px: int, path: Path) -> None:
    os.environ["LITERT_TORCH_SHOW_PROGRESS"] = "n"
    example = torch.zeros(1, side_px, side_px, 3)
    with _quiet():
        import litert_torch

        try:
            litert_torch.convert(module, sample_kwargs={PHONE_INPUT: example}).export(str(path))
        except Exception as error:  # the converter has many, of its own and of what it calls
            lines = str(error).strip().splitlines() or [""]
            raise ExportFailed(
                f"this network cannot be converted to TensorFlow Lite: {type(error).__name__}: {lines[0][:300]}",
                hint="a layer that the phone's runtime lacks cannot be converted: try another backbone",
            ) from error


def _place(part: Path, target: Path, facts: Mapping[str, Any] | None) -> None:
    """Move a finished file to its place, with the facts in it and beside it."""
    if facts is not None:
        from ai_edge_litert import schema_py_generated as schema
        from ai_edge_litert.tools import flatbuffer_utils

        model = flatbuffer_utils.read_model(str(part))
        text = json.dumps(dict(facts), ensure_ascii=False).encode()
        kept = [entry for entry in model.metadata or () if entry.name not in (FACTS, FACTS.encode())]
        model.metadata = [*kept, schema.MetadataT(FACTS, len(model.buffers))]
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(text, np.uint8)
        model.buffers.append(buffer)
        flatbuffer_utils.write_model(model, str(part))
    part.replace(target)
    if facts is not None:
        beside = {**facts, "file": {"name": target.name, "sha256": sha256_of(target), "bytes": target.stat().st_size}}
        text_beside = json.dumps(beside, indent=2, ensure_ascii=False) + "\n"
        aside = target.with_suffix(".json.part")
        aside.write_text(text_beside, "utf-8")
        aside.replace(target.with_suffix(".json"))


def _recipe(kind: Kind) -> Any:
    from ai_edge_quantizer import algorithm_manager, qtyping, recipe, recipe_manager

    if kind == "dynamic":
        return recipe.dynamic_wi8_afp32()
    if kind == "weights":
        return recipe.weight_only_wi8_afp32()
    names = qtyping.TFLOperationName
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(regex=".*", operation_name=names.ALL_SUPPORTED, activation_num_bits=8, weight_num_bits=8)
    for name in (names.INPUT, names.OUTPUT):
        manager.add_quantization_config(
            regex=".*",
            operation_name=name,
            op_config=None,
            algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE,
        )
    return manager.get_quantization_recipe()


def _interpreter(path: Path, threads: int = 1) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    return Interpreter(str(path), num_threads=threads)


def _runner(path: Path, threads: int) -> Callable[[Pixels], Vector]:
    interpreter = _interpreter(path, threads)
    interpreter.allocate_tensors()
    (given,), (asked,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(crop: Pixels) -> Vector:
        interpreter.set_tensor(given["index"], crop.astype(np.float32))
        interpreter.invoke()
        found: Vector = interpreter.get_tensor(asked["index"])
        return found

    return run


def _signature(path: Path) -> str:
    return str(next(iter(_interpreter(path).get_signature_list())))


def _side_px(path: Path) -> int:
    return int(_interpreter(path).get_input_details()[0]["shape"][1])


def _ms_a_face(path: Path, crops: Pixels) -> float:
    run = _runner(path, 1)
    return ms_a_face(lambda: run(crops[:1]), 1)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the converters' remarks from stdout, where results go, and their use of what others deprecate to them."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
