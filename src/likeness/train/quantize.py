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
from likeness.train.onnx_export import INPUT, run_onnx, run_outputs, write_model
from likeness.train.parity import cosines, ms_a_face, unit
from likeness.types import Pixels, Vector
from likeness.vision.session import Session

GOAL = 0.995
"""Mean cosine to the floats' embeddings from which on no more layers keep their floats."""
CENTRED_GOAL = 0.97
"""The same after the mean of the floats' embeddings is taken away: where all faces lie close together, plain cosines
are near one for anybody."""
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
        centred_cosine: the mean after the floats' mean embedding is taken away from both.
        told_apart: of what else the network tells the mean difference of probabilities, by the output's name.
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
    centred_cosine: float
    told_apart: dict[str, float]
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
            f"{self.mean_cosine:.4f} (worst {self.min_cosine:.4f} of {self.crops}; centred {self.centred_cosine:.4f}), "
            f"{self.ms_before:.2f} → {self.ms_after:.2f} ms a face on one core{kept}"
        )


def quantize_onnx(
    source: Path,
    crops: Pixels,
    target: Path,
    *,
    goal: float = GOAL,
    centred_goal: float = CENTRED_GOAL,
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
        work = _Work(source, seen, Path(folder), (goal, centred_goal))
        ranges, kept = work.decide(say)
        made = work.make(ranges, kept)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(made.read_bytes())
        part.replace(target)
    found_by_name, by_name = (run_outputs(path, held_out) for path in (target, source))
    (vectors, *others), (floats, *truths) = found_by_name.values(), by_name.values()
    near = cosines(vectors, floats)
    found = Quantized(
        bytes_before=source.stat().st_size,
        bytes_after=target.stat().st_size,
        mean_cosine=float(near.mean()),
        min_cosine=float(near.min()),
        centred_cosine=centred_cosine(vectors, floats),
        told_apart={
            name: told_apart(ours, theirs) for name, ours, theirs in zip(list(by_name)[1:], others, truths, strict=True)
        },
        crops=len(held_out),
        ms_before=_ms_a_face(source, held_out),
        ms_after=_ms_a_face(target, held_out),
        kept_float=tuple(kept),
        weighted_layers=len(work.layers),
        method=f"static int8 by onnxruntime, 7-bit weights by channel, ranges from {ranges} of {len(seen)} crops",
    )
    say(f"Eight bits: {found.summary()}.")
    if found.mean_cosine < goal or found.centred_cosine < centred_goal:
        say(f"That is below the goal of {goal}, centred {centred_goal}: measure the quantized file before it is used.")
    return found


def centred_cosine(found: Vector, floats: Vector) -> float:
    """Mean cosine of embeddings `(n, d)` to those of the floats, both less the floats' mean at length one."""
    middle = unit(floats).mean(axis=0)
    return float(cosines(unit(found) - middle, unit(floats) - middle).mean())


def told_apart(found: Vector, floats: Vector) -> float:
    """Mean difference of two networks' probabilities by their logits `(n,)` or `(n, k)`; of `k` the total variation."""
    if floats.ndim == 1 or floats.shape[1] == 1:
        return float(np.abs(1 / (1 + np.exp(-found)) - 1 / (1 + np.exp(-floats))).mean())
    shares = [np.exp(each - each.max(axis=1, keepdims=True)) for each in (found, floats)]
    mine, its = (each / each.sum(axis=1, keepdims=True) for each in shares)
    return float(np.abs(mine - its).sum(axis=1).mean() / 2)


class _Work:
    """One network being quantized: ranges are found once, then it is written with these or those layers in floats."""

    def __init__(self, source: Path, seen: Pixels, folder: Path, goals: tuple[float, float]) -> None:
        self._goals = goals
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

    def decide(self, say: Callable[[str], None]) -> tuple[str, list[str]]:
        """Which ranges to take, and which layers keep their floats."""
        costs = {name: self.cost(self.make(name)) for name in _RANGES}
        ranges = min(costs, key=costs.__getitem__)
        best, kept = costs[ranges], list[str]()
        if best <= 1:
            return ranges, kept
        say(f"All layers in eight bits cost {best:.1f} times what is allowed: looking for those that cost most.")
        by_layer = {name: self.cost(self.make(ranges, only=[name]), _RANKERS) for name in self.layers}
        worst = sorted(self.layers, key=by_layer.__getitem__, reverse=True)
        count = 1
        while best > 1 and count <= len(worst) // 2:
            cost = self.cost(self.make(ranges, worst[:count]))
            if cost < best:
                best, kept = cost, worst[:count]
            count *= 2
        if kept:
            say(f"Layers that keep their floats: {', '.join(kept)}; then it is {best:.1f} times.")
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

    def cost(self, path: Path, crops: int = _JUDGES) -> float:
        """How far a file's embeddings are from those of the floats on some of the crops seen: 1 is what may be.

        By plain cosines and by centred ones, whichever is worse.
        """
        found, floats = run_onnx(path, self._judges[:crops]), self._floats[:crops]
        near = float(cosines(found, floats).mean()), centred_cosine(found, floats)
        return max((1 - each) / (1 - goal) for each, goal in zip(near, self._goals, strict=True))

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
