"""A trained network as an ONNX file that takes pixels as they are and gives the network's own embeddings.

The exporter is torch's own of `torch.export`: it takes ten seconds where the older one, by tracing, takes one, and the
files run equally fast; but the older one is deprecated, and what a traced network does with other inputs than the
example is anybody's guess.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from likeness.bundle import InputSpec
from likeness.errors import ExportFailed, ExtraMissing
from likeness.train.parity import Parity, check_parity, exportable, frozen_copy, probe_crops, run_network
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


def export_onnx(network: nn.Module, spec: InputSpec, target: Path, *, crops: Pixels | None = None) -> Parity:
    """Write a network `(n, 3, s, s)` float32 → `(n, d)` as ONNX; how near the file comes to it.

    The file takes `faces` `(n, s, s, 3)` uint8 RGB and gives `embeddings` `(n, d)`, not of unit length; normalising by
    `spec` is part of it. It is compared with the network by running both, on made crops and on real ones `crops`
    `(m, s, s, 3)` uint8 where given, and put in place only if they agree.

    Raises:
        ExportFailed: torch cannot export it, or the file gives other embeddings (more than 1e-4 apart).
        ExtraMissing: the packages onnx and onnxscript are not installed.
    """
    quiet = frozen_copy(network)
    probes = probe_crops(spec.side_px, crops)
    expected = run_network(quiet, spec, probes)
    target.parent.mkdir(parents=True, exist_ok=True)
    with _aside(target) as part:
        write_model(_converted(exportable(quiet, spec), spec.side_px), part)
        parity = check_parity(f"the ONNX file {target.name}", expected, run_onnx(part, probes))
        part.replace(target)
    return parity


def run_onnx(path: Path, crops: Pixels) -> Vector:
    """Raw embeddings `(n, d)` of crops `(n, s, s, 3)` uint8 by a file of `export_onnx`, run as users will run it."""
    session = Session(path)
    return np.concatenate(
        [session.run(**{INPUT: crops[start : start + _BATCH]})[0] for start in range(0, len(crops), _BATCH)]
    )


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


def _converted(module: nn.Module, side_px: int) -> onnx.ModelProto:
    example = torch.zeros(2, side_px, side_px, 3, dtype=torch.uint8)
    try:
        with warnings.catch_warnings():
            # torch 2.13 uses a class of its own that it deprecates itself.
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*LeafSpec.*")
            program = torch.onnx.export(
                module,
                (example,),
                dynamo=True,
                input_names=[INPUT],
                output_names=[OUTPUT],
                dynamic_shapes={INPUT: {0: torch.export.Dim("n")}},
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
def _aside(target: Path) -> Iterator[Path]:
    """A file beside `target` to write into first; gone at the end unless it was moved."""
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
