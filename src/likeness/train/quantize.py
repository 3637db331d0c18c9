"""An exported network in eight bits: a quarter of its size, often quicker, a little less exact.

Weights get one scale per output channel and seven of their eight bits: processors without VNNI add pairs of products
in 16 bits, which full-range weights overflow. Activations get one scale each, from the values seen on the crops given.
What that costs is measured on crops that had no part in it. Where it costs too much, the layers that cost most by
themselves keep their floats: some networks, MobileNets above all, have few that spoil everything.
"""

from __future__ import annotations

import copy
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import InputError
from likeness.runtime import load_quantization
from likeness.train.onnx_export import INPUT, run_onnx, write_model
from likeness.train.parity import cosines, ms_a_face
from likeness.types import Pixels
from likeness.vision.session import Session

GOAL = 0.995
"""Mean cosine to the floats' embeddings from which on no more layers keep their floats."""
LEAST_CROPS = 24
_MOST_CROPS = 512
_JUDGES = 32
_RANKERS = 12
_BATCH = 16
_OPERATIONS = ["Conv", "Gemm", "MatMul", "Add", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip"]
_OPERATIONS += ["Reshape", "Flatten", "Concat"]
_WEIGHTED = ("Conv", "Gemm", "MatMul")
_RANGES: dict[str, dict[str, Any]] = {
    "the extremes": {},
    "the batches' mean extremes": {"moving_average": True, "averaging_constant": 0.1},
}


@dataclass(frozen=True, slots=True)
class Quantized:
    """What eight bits gained and cost.

    Attributes:
        bytes_before, bytes_after: sizes of the files.
        mean_cosine, min_cosine: of the embeddings to those of the floats, on crops that had no part in it.
        crops: how many those were.
        ms_before, ms_after: for one face on one core of this machine.
        kept_float: layers that keep their floats.
        weighted_layers: how many layers with weights there are.
        method: how it was done, in words.
    """

    bytes_before: int
    bytes_after: int
    mean_cosine: float
    min_cosine: float
    crops: int
    ms_before: float
    ms_after: float
    kept_float: tuple[str, ...]
    weighted_layers: int
    method: str

    def as_dict(self) -> dict[str, Any]:
        """Plain data for a manifest."""
        return asdict(self)

    def summary(self) -> str:
        """One line for people."""
        kept = f", {len(self.kept_float)} of {self.weighted_layers} layers kept in floats" if self.kept_float else ""
        return (
            f"{self.bytes_before / 1e6:.1f} → {self.bytes_after / 1e6:.1f} MB, cosine to the floats "
            f"{self.mean_cosine:.4f} (worst {self.min_cosine:.4f} of {self.crops}), "
            f"{self.ms_before:.2f} → {self.ms_after:.2f} ms a face on one core{kept}"
        )


def quantize_onnx(
    source: Path,
    crops: Pixels,
    target: Path,
    *,
    goal: float = GOAL,
    say: Callable[[str], None] = lambda text: None,
) -> Quantized:
    """Quantize a file of `export_onnx`, calibrated on aligned RGB crops `(n, s, s, 3)` uint8 of the training's people.

    A quarter of the crops is held out to measure on. `say` is told, in a sentence, what is decided.

    Raises:
        InputError: there are fewer than 24 crops.
        ExtraMissing: the package onnx is not installed.
    """
    if len(crops) < LEAST_CROPS:
        raise InputError(
            f"quantizing needs at least {LEAST_CROPS} crops to calibrate on and to measure with, got {len(crops)}"
        )
    shuffled = crops[np.random.default_rng(0).permutation(len(crops))[:_MOST_CROPS]]
    held_out, seen = shuffled[: len(shuffled) // 4], shuffled[len(shuffled) // 4 :]
    with tempfile.TemporaryDirectory(prefix="likeness-int8-") as folder:
        work = _Work(source, seen, Path(folder))
        ranges, kept = work.decide(goal, say)
        made = work.make(ranges, kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(made.read_bytes())
        part.replace(target)
    near = cosines(run_onnx(target, held_out), run_onnx(source, held_out))
    found = Quantized(
        bytes_before=source.stat().st_size,
        bytes_after=target.stat().st_size,
        mean_cosine=float(near.mean()),
        min_cosine=float(near.min()),
        crops=len(held_out),
        ms_before=_ms_a_face(source, held_out),
        ms_after=_ms_a_face(target, held_out),
        kept_float=tuple(kept),
        weighted_layers=len(work.layers),
        method=f"static int8 by onnxruntime, 7-bit weights by channel, ranges from {ranges} of {len(seen)} crops",
    )
    say(f"Eight bits: {found.summary()}.")
    if found.mean_cosine < goal:
        say(f"That is below the goal of {goal}: measure the quantized file before it is used.")
    return found


class _Work:
    """One network being quantized: ranges are found once, then it is written with these or those layers in floats."""

    def __init__(self, source: Path, seen: Pixels, folder: Path) -> None:
        self._library = load_quantization()
        # The library writes beside the file that it reads.
        self._source = folder / "floats.onnx"
        shutil.copyfile(source, self._source)
        self._folder, self._seen = folder, seen
        self._judges = seen[:_JUDGES]
        self._floats = run_onnx(source, self._judges)
        self._model = self._library.quant_utils.load_model_with_shape_infer(self._source)
        self.layers = [node.name for node in self._model.graph.node if node.op_type in _WEIGHTED]
        self._ranges = {name: self._find_ranges(options) for name, options in _RANGES.items()}

    def decide(self, goal: float, say: Callable[[str], None]) -> tuple[str, list[str]]:
        """Which ranges to take, and which layers keep their floats."""
        scores = {name: self.score(self.make(name)) for name in _RANGES}
        ranges = max(scores, key=scores.__getitem__)
        best, kept = scores[ranges], list[str]()
        if best >= goal:
            return ranges, kept
        say(f"With all layers in eight bits the cosine to the floats is {best:.4f}: looking for those that cost most.")
        costs = {name: 1 - self.score(self.make(ranges, only=[name]), _RANKERS) for name in self.layers}
        worst = sorted(self.layers, key=costs.__getitem__, reverse=True)
        count = 1
        while best < goal and count <= len(worst) // 2:
            score = self.score(self.make(ranges, worst[:count]))
            if score > best:
                best, kept = score, worst[:count]
            count *= 2
        if kept:
            say(f"Layers that keep their floats: {', '.join(kept)}; the cosine is then {best:.4f}.")
        return ranges, kept

    def make(self, ranges: str, kept: Sequence[str] = (), *, only: Sequence[str] | None = None) -> Path:
        """Write the network with the layers `kept` in floats, or all but the layers `only`."""
        kinds = self._library.QuantType
        quantizer = self._library.QDQQuantizer(
            copy.deepcopy(self._model),
            per_channel=True,
            reduce_range=True,
            weight_qType=kinds.QInt8,
            activation_qType=kinds.QUInt8,
            tensors_range=self._ranges[ranges],
            nodes_to_quantize=list(only or ()),
            nodes_to_exclude=list(kept),
            op_types_to_quantize=_OPERATIONS,
            extra_options={},
        )
        quantizer.quantize_model()
        quantizer.model.topological_sort()
        path = self._folder / "int8.onnx"
        write_model(quantizer.model.model, path)
        return path

    def score(self, path: Path, crops: int = _JUDGES) -> float:
        """Mean cosine of a file's embeddings to those of the floats, on some of the crops seen."""
        return float(cosines(run_onnx(path, self._judges[:crops]), self._floats[:crops]).mean())

    def _find_ranges(self, options: dict[str, Any]) -> Any:
        calibrator = self._library.create_calibrator(
            self._source, _OPERATIONS, str(self._folder / "augmented.onnx"), extra_options=options
        )
        calibrator.collect_data(_Reader(self._seen))
        return calibrator.compute_data()


class _Reader:
    """Gives crops batch by batch, as onnxruntime's calibration asks for them."""

    def __init__(self, crops: Pixels) -> None:
        self._batches = iter([crops[start : start + _BATCH] for start in range(0, len(crops), _BATCH)])

    def get_next(self) -> dict[str, Pixels] | None:
        """The next batch, or None at the end."""
        batch = next(self._batches, None)
        return None if batch is None else {INPUT: batch}


def _ms_a_face(path: Path, crops: Pixels) -> float:
    session, batch = Session(path, threads=1), crops[:_BATCH]
    return ms_a_face(lambda: session.run(**{INPUT: batch}), len(batch))
