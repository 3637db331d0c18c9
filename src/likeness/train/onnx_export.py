"""A trained network as an ONNX file that takes pixels as they are and gives the network's own embeddings.

The exporter is torch's own of `torch.export`: it takes ten seconds where the older one, by tracing, takes one, and the
files run equally fast; but the older one is deprecated, and what a traced network does with other inputs than the
example is anybody's guess.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from likeness.bundle import InputSpec
from likeness.errors import ExportFailed, ExtraMissing
from likeness.train.parity import Parity, check_numbers, check_parity, exportable, frozen_copy, probe_crops, run_network
from likeness.types import Pixels, Vector
from likeness.vision.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator

    import onnx

OPSET = 20
INPUT, OUTPUT = "faces", "embeddings"
_BATCH = 16


def onnx_input(spec: InputSpec) -> InputSpec:
    """What the manifest of an exported network says of its input: pixels as they are, whatever the network takes."""
    return InputSpec(side_px=spec.side_px)


def export_onnx(
    network: nn.Module,
    spec: InputSpec,
    target: Path,
    *,
    crops: Pixels | None = None,
    outputs: Sequence[str] = (OUTPUT,),
) -> Parity:
    """Write a network `(n, 3, s, s)` float32 → `(n, d)` as ONNX; how near the file comes to it.

    The file takes `faces` `(n, s, s, 3)` uint8 RGB and gives `embeddings` `(n, d)`, not of unit length; normalising by
    `spec` is part of it. It is compared with the network by running both, on made crops and on real ones `crops`
    `(m, s, s, 3)` uint8 where given, and put in place only if they agree. A network that gives a tuple has a name for
    each part in `outputs`.

    Raises:
        ExportFailed: torch cannot export it, or the file gives other embeddings (more than 1e-4 apart) or other
            numbers (more than 1e-3 of their range apart).
        ExtraMissing: the packages onnx and onnxscript are not installed.
    """
    quiet = frozen_copy(network)
    probes = probe_crops(spec.side_px, crops)
    expected = run_network(quiet, spec, probes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with aside(target) as part:
        example = torch.zeros(2, spec.side_px, spec.side_px, 3, dtype=torch.uint8)
        write_model(convert_to_onnx(exportable(quiet, spec), example, INPUT, outputs, {0: torch.export.Dim("n")}), part)
        found = run_outputs(part, probes)
        parity = check_parity(f"the ONNX file {target.name}", expected[0], found[outputs[0]])
        for name, ours in zip(outputs[1:], expected[1:], strict=True):
            check_numbers(f"{name} of the ONNX file {target.name}", ours, found[name])
        part.replace(target)
    return parity


def run_onnx(path: Path, crops: Pixels) -> Vector:
    """Raw embeddings `(n, d)` of crops `(n, s, s, 3)` uint8 by a file of `export_onnx`, run as users will run it."""
    return next(iter(run_outputs(path, crops).values()))


def run_outputs(path: Path, crops: Pixels) -> dict[str, Vector]:
    """All outputs by name, as `run_onnx`."""
    session = Session(path)
    parts = [session.run_named(**{INPUT: crops[start : start + _BATCH]}) for start in range(0, len(crops), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def write_model(model: onnx.ModelProto, path: Path) -> None:
    """Check a model and write it in one file, without what torch notes in it: names and lines of source files."""
    import onnx

    strip(model)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))


def strip(model: onnx.ModelProto) -> None:
    """Remove every note and documentation string from a model, in place."""
    from likeness import __version__

    graph = model.graph
    _forget([model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer, *model.functions])
    for function in model.functions:
        _forget(function.node)
    del graph.value_info[:]  # onnxruntime infers the shapes anew, and its quantizer trips over those of torch
    graph.name = "network"
    model.producer_name, model.producer_version = "likeness", __version__


def _forget(parts: Iterable[Any]) -> None:
    for part in parts:
        part.ClearField("doc_string")
        part.ClearField("metadata_props")


def convert_to_onnx(
    module: nn.Module, example: Tensor, inputs: str, outputs: Sequence[str], dynamic: dict[int, Any]
) -> onnx.ModelProto:
    """A module of one input as ONNX; `dynamic` maps the input's axes that vary to what torch calls their `Dim`.

    Raises:
        ExportFailed: torch cannot export it.
        ExtraMissing: the packages onnx and onnxscript are not installed.
    """
    try:
        with warnings.catch_warnings():
            # torch 2.13 uses a class of its own that it deprecates itself.
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[inputs],
                output_names=list(outputs),
                dynamic_shapes={inputs: dynamic},
                opset_version=OPSET,
                verbose=False,
            )
    except ModuleNotFoundError as error:
        if error.name not in ("onnx", "onnxscript"):
            raise
        raise ExtraMissing(
            f"exporting to ONNX needs the package {error.name}", hint="pip install 'likeness[train]'"
        ) from error
    except Exception as error:  # the exporter has many, of its own and of what it calls
        lines = str(error).strip().splitlines() or [""]
        raise ExportFailed(
            f"torch cannot export this network to ONNX: {type(error).__name__}: {lines[0][:300]}",
            hint="a layer that depends on the values or the number of its inputs cannot be exported",
        ) from error
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    return model


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A file beside `target` to write into first; gone at the end unless it was moved."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
