"""MTCNN's three networks (weights of the PyPI package `mtcnn`, MIT) as ONNX.

The cascade is that of Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks". The weights are joblib lists in Keras layout: convolutions `(h, w, in, out)` and matrices `(in, out)`, each
followed by its bias and, but for the heads, by PReLU's slopes. The networks take upright RGB; the normalisation
(x − 127.5) / 128 is folded into the first convolution, which is exact because it is unpadded.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from likeness.convert.graph import GraphWriter
from likeness.convert.source import read_sources
from likeness.errors import BundleCorrupt

MEAN, SCALE = 127.5, 128.0
LANES = 16
Array = NDArray[np.float32]


class _KerasWeights:
    """Hands out a Keras list of arrays in order, turned to ONNX layout."""

    def __init__(self, data: bytes, name: str) -> None:
        import joblib

        self._arrays: Iterator[Array] = iter(joblib.load(io.BytesIO(data)))
        self._name = name

    def next(self, *shape: int) -> Array:
        array = np.asarray(next(self._arrays), np.float32)
        if array.size != int(np.prod(shape)):
            raise BundleCorrupt(f"{self._name}: expected {shape} weights, got shape {array.shape}")
        return array.reshape(shape)

    def convolution(self, kernel: int, channels: int, out: int) -> tuple[Array, Array]:
        weight = self.next(kernel, kernel, channels, out).transpose(3, 2, 0, 1)
        return np.ascontiguousarray(weight), self.next(out)


def convert(entry: dict[str, Any], entry_folder: Path, target: Path) -> dict[str, str]:
    """Write the three networks of a catalogue entry into `target`; returns the bundle's files by key."""
    sources = read_sources(entry["origin"])
    write_pnet(sources["pnet.lz4"], target / "pnet.onnx")
    write_rnet(sources["rnet.lz4"], target / "rnet.onnx")
    write_onet(sources["onet.lz4"], target / "onet.onnx")
    shutil.copyfile(entry_folder / "LICENSE.txt", target / "LICENSE.txt")
    return {name: f"{name}.onnx" for name in ("pnet", "rnet", "onet")} | {"licence": "LICENSE.txt"}


def write_pnet(data: bytes, path: Path) -> None:
    """P-Net: `pixels` `(n, h, w, 3)` to `scores` `(n, h', w')` and `offsets` `(n, h', w', 4)`, cells of stride 2."""
    weights, graph = _KerasWeights(data, "pnet"), GraphWriter()
    x = _conv(graph, weights, graph.pixels("pixels"), "conv1", 3, 3, 10, first=True)
    x = _pool(graph, x, "pool1", 2)
    x = _conv(graph, weights, x, "conv2", 3, 10, 16)
    x = _conv(graph, weights, x, "conv3", 3, 16, 32)
    offsets = graph.conv(x, "offsets.planes", *weights.convolution(1, 32, 4))
    matrix, bias = _one_logit(weights.next(32, 2), weights.next(2))
    logit = graph.conv(x, "logit", matrix.T.reshape(1, 32, 1, 1), bias)
    graph.op("Transpose", [offsets], "offsets", perm=[0, 2, 3, 1])
    _squeeze_score(graph, logit)
    graph.save(
        path,
        inputs={"pixels": (TensorProto.UINT8, ("n", "h", "w", 3))},
        outputs={"scores": ("n", "h2", "w2"), "offsets": ("n", "h2", "w2", 4)},
        doc="MTCNN P-Net (MIT), converted by Likeness.",
    )


def write_rnet(data: bytes, path: Path) -> None:
    """R-Net: `pixels` `(n, 24, 24, 3)` to `scores` `(n,)` and `offsets` `(n, 4)`."""
    weights, graph = _KerasWeights(data, "rnet"), GraphWriter()
    x = _conv(graph, weights, graph.pixels("pixels"), "conv1", 3, 3, 28, first=True)
    x = _pool(graph, x, "pool1", 3)
    x = _conv(graph, weights, x, "conv2", 3, 28, 48)
    x = _pool(graph, x, "pool2", 3, ceil=False)
    x = _conv(graph, weights, x, "conv3", 2, 48, 64)
    x = _dense(graph, weights, x, (64, 3, 3), 128)
    _heads(graph, weights, x, 128, ("offsets", 4))
    graph.save(
        path,
        inputs={"pixels": (TensorProto.UINT8, ("n", 24, 24, 3))},
        outputs={"scores": ("n",), "offsets": ("n", 4)},
        doc="MTCNN R-Net (MIT), converted by Likeness.",
    )


def write_onet(data: bytes, path: Path) -> None:
    """O-Net: `pixels` `(n, 48, 48, 3)` to `scores` `(n,)`, `offsets` `(n, 4)`, `landmarks` `(n, 10)` (x, then y)."""
    weights, graph = _KerasWeights(data, "onet"), GraphWriter()
    x = _conv(graph, weights, graph.pixels("pixels"), "conv1", 3, 3, 32, first=True)
    x = _pool(graph, x, "pool1", 3)
    x = _conv(graph, weights, x, "conv2", 3, 32, 64)
    x = _pool(graph, x, "pool2", 3, ceil=False)
    x = _conv(graph, weights, x, "conv3", 3, 64, 64)
    x = _pool(graph, x, "pool3", 2)
    x = _conv(graph, weights, x, "conv4", 2, 64, 128)
    x = _dense(graph, weights, x, (128, 3, 3), 256)
    _heads(graph, weights, x, 256, ("offsets", 4), ("landmarks", 10))
    graph.save(
        path,
        inputs={"pixels": (TensorProto.UINT8, ("n", 48, 48, 3))},
        outputs={"scores": ("n",), "offsets": ("n", 4), "landmarks": ("n", 10)},
        doc="MTCNN O-Net (MIT), converted by Likeness.",
    )


def _conv(
    graph: GraphWriter,
    weights: _KerasWeights,
    x: str,
    name: str,
    kernel: int,
    channels: int,
    out: int,
    *,
    first: bool = False,
) -> str:
    """A convolution with its PReLU, its channels padded with zeros to a multiple of `LANES`.

    PReLU with slope a is a·x + (1 − a)·relu(x), written here as two per-channel convolutions: onnxruntime keeps these
    in its blocked layout, where its own PReLU leaves it and takes longer than the convolution (measured: the three
    networks run 1.6 to 1.8 times as fast this way).
    """
    weight, bias = weights.convolution(kernel, channels, out)
    if first:
        bias = bias - weight.sum(axis=(1, 2, 3)) * np.float32(MEAN / SCALE)
        weight = weight / np.float32(SCALE)
    slope = weights.next(out)
    extra_in, extra_out = (0 if first else -channels % LANES), -out % LANES
    weight = np.pad(weight, ((0, extra_out), (0, extra_in), (0, 0), (0, 0)))
    bias, slope = np.pad(bias, (0, extra_out)), np.pad(slope, (0, extra_out))
    x = graph.conv(x, name, weight, bias)
    positive = graph.op("Relu", [x], f"{name}.relu")
    parts = [
        _per_channel(graph, x, f"{name}.all", slope),
        _per_channel(graph, positive, f"{name}.up", 1 - slope),
    ]
    return graph.op("Add", parts, f"{name}.prelu")


def _per_channel(graph: GraphWriter, x: str, name: str, factors: Array) -> str:
    weight = graph.constant(f"{name}.w", factors.reshape(-1, 1, 1, 1))
    return graph.op("Conv", [x, weight], name, group=len(factors), kernel_shape=[1, 1])


def _pool(graph: GraphWriter, x: str, name: str, kernel: int, *, ceil: bool = True) -> str:
    # Keras' "same" pooling of these sizes pads at the end only, which is what rounding up does.
    return graph.op("MaxPool", [x], name, kernel_shape=[kernel] * 2, strides=[2, 2], ceil_mode=int(ceil))


def _dense(graph: GraphWriter, weights: _KerasWeights, x: str, shape: tuple[int, int, int], out: int) -> str:
    channels, height, width = shape
    # The published networks flatten in the order (x, y, channel); ONNX flattens (channel, y, x).
    matrix = weights.next(width, height, channels, out).transpose(2, 1, 0, 3).reshape(-1, out)
    x = graph.op("Flatten", [x], "flat")
    x = graph.op("Gemm", [x, graph.constant("dense.w", matrix), graph.constant("dense.b", weights.next(out))], "dense")
    return graph.op("PRelu", [x, graph.constant("dense.slope", weights.next(out))], "dense.prelu")


def _heads(graph: GraphWriter, weights: _KerasWeights, x: str, width: int, *heads: tuple[str, int]) -> None:
    for name, size in heads:
        matrix = graph.constant(f"{name}.w", weights.next(width, size))
        graph.op("Gemm", [x, matrix, graph.constant(f"{name}.b", weights.next(size))], name)
    logit, bias = _one_logit(weights.next(width, 2), weights.next(2))
    x = graph.op("Gemm", [x, graph.constant("logit.w", logit), graph.constant("logit.b", bias)], "logit")
    _squeeze_score(graph, x)


def _one_logit(matrix: Array, bias: Array) -> tuple[Array, Array]:
    """A softmax over (not a face, face) as one logit: the sigmoid of their difference is the same number."""
    return matrix[:, 1:] - matrix[:, :1], bias[1:] - bias[:1]


def _squeeze_score(graph: GraphWriter, logit: str) -> None:
    x = graph.op("Sigmoid", [logit], "sigmoid")
    graph.op("Squeeze", [x, graph.constant("axis", np.array([1], np.int64))], "scores")
