"""dlib's face recognition ResNet-29 (`dlib_face_recognition_resnet_model_v1.dat`) as ONNX.

The network is `anet_type` of dlib's `dnn_face_recognition_ex.cpp` (Davis King, Boost licence; weights CC0): a 7×7
stem, fourteen residual blocks of two 3×3 convolutions each with its affine (a batch norm at rest), and a matrix
without bias. Affines and the input's normalisation are folded into the convolutions beside them, which is exact: the
only unpadded convolution that sees the input is the stem.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from likeness.convert.graph import GraphWriter, Ranges
from likeness.convert.source import read_sources
from likeness.errors import BundleCorrupt

CROP_PX = 150
DIMENSION = 128
CHANNEL_MEAN = np.array([122.782, 117.001, 104.298], np.float32)
CHANNEL_SCALE = 256.0
STAGES = ((32, 3), (64, 4), (128, 3), (256, 3), (256, 1))
"""(width, residual blocks) of each stage; every stage but the first begins with a block of stride 2."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution with its affine folded in: weight `(out, in, h, w)` and bias `(out,)`."""

    weight: Array
    bias: Array


@dataclass(frozen=True, slots=True)
class Network:
    """All weights: the stem, two convolutions a block in order, and the final `(256, 128)` matrix."""

    stem: Convolution
    blocks: tuple[tuple[Convolution, Convolution], ...]
    matrix: Array


class _DatReader:
    """Walks a dlib `.dat` file from one known tensor to the next.

    dlib writes an integer as a control byte (low four bits: how many bytes; high bit: sign) and that many
    little-endian bytes, and a tensor as the integer 2, four sizes and raw float32. Between tensors stand layer
    settings that are of no use here, so each tensor is found by the header that its sizes must have.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    @staticmethod
    def _integer(value: int) -> bytes:
        body = value.to_bytes((value.bit_length() + 7) // 8 or 1, "little")
        return bytes([len(body)]) + body

    def tensor(self, *sizes: int) -> Array:
        padded = (*sizes, 1, 1, 1)[:4]
        header = b"".join(self._integer(number) for number in (2, *padded))
        start = self.data.find(header, self.at)
        count = int(np.prod(padded))
        if start < 0 or start + len(header) + 4 * count > len(self.data):
            raise BundleCorrupt(f"no tensor of sizes {padded} after byte {self.at} of the dlib file")
        start += len(header)
        self.at = start + 4 * count
        values = np.frombuffer(self.data, "<f4", count, start).astype(np.float32)
        if not np.isfinite(values).all():
            raise BundleCorrupt(f"the tensor at byte {start} of the dlib file holds no finite numbers")
        return values

    def convolution(self, out: int, channels: int, kernel: int) -> Convolution:
        count = out * channels * kernel * kernel
        values = self.tensor(count + out)
        weight, bias = values[:count].reshape(out, channels, kernel, kernel), values[count:]
        gamma, beta = np.split(self.tensor(2 * out), 2)
        return Convolution(weight * gamma[:, None, None, None], bias * gamma + beta)


def convert(entry: dict[str, Any], entry_folder: Path, target: Path) -> dict[str, str]:
    """Write the network of a catalogue entry into `target`; returns the bundle's files by key.

    An entry with a `ranges` file is quantized to int8 with the activation ranges in it.
    """
    (data,) = read_sources(entry["origin"]).values()
    ranges = json.loads((entry_folder / entry["ranges"]).read_text("utf-8"))["ranges"] if "ranges" in entry else None
    write_onnx(read_network(data), target / "model.onnx", ranges=ranges)
    roles = {"model": "model.onnx"}
    if "calibration" in entry:
        shutil.copyfile(entry_folder / entry["calibration"], target / "calibration.json")
        roles["calibration"] = "calibration.json"
    return roles


def read_network(data: bytes) -> Network:
    """The weights in a `.dat` file's bytes.

    Raises:
        BundleCorrupt: a tensor is not where it should be.
    """
    reader = _DatReader(data)
    stem = _fold_normalisation(reader.convolution(32, 3, 7))
    blocks, channels = [], 32
    for width, count in STAGES:
        for _ in range(count):
            blocks.append((reader.convolution(width, channels, 3), reader.convolution(width, width, 3)))
            channels = width
    return Network(stem, tuple(blocks), reader.tensor(channels, DIMENSION).reshape(channels, DIMENSION))


def _fold_normalisation(stem: Convolution) -> Convolution:
    """The stem for pixels of 0 to 255 instead of (pixels - mean) / scale."""
    weight = stem.weight / CHANNEL_SCALE
    return Convolution(weight, stem.bias - np.einsum("oihw,i->o", weight, CHANNEL_MEAN))


def write_onnx(network: Network, path: Path, *, ranges: Ranges | None = None) -> None:
    """Write the network: input `faces` `(n, 150, 150, 3)` uint8 RGB, output `embeddings` `(n, 128)` as dlib gives them.

    With `ranges` the file is quantized to int8 (8-bit weights and activations; the final matrix stays float32).
    """
    graph = GraphWriter(ranges)
    x = graph.conv(graph.pixels("faces"), "stem", network.stem.weight, network.stem.bias, stride=2)
    x = graph.quantize(graph.op("Relu", [x], "stem.relu"))
    x = graph.op("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2])
    x = graph.quantize(x, like="stem.relu")
    size, index = 35, 0
    for stage, (_, count) in enumerate(STAGES):
        for place in range(count):
            down = stage > 0 and place == 0
            x, size = _write_block(graph, x, f"block{index}", *network.blocks[index], size=size, down=down)
            index += 1
    x = graph.op("GlobalAveragePool", [x], "mean")
    x = graph.op("Flatten", [x], "features")
    graph.op("MatMul", [x, graph.constant("matrix", network.matrix)], "embeddings")
    graph.save(
        path,
        inputs={"faces": (TensorProto.UINT8, ("n", CROP_PX, CROP_PX, 3))},
        outputs={"embeddings": ("n", DIMENSION)},
        doc="dlib face recognition ResNet-29 (weights CC0), converted by Likeness.",
    )


def _write_block(
    graph: GraphWriter, x: str, name: str, first: Convolution, second: Convolution, *, size: int, down: bool
) -> tuple[str, int]:
    """One residual block on `(n, c, size, size)`; returns its output and size."""
    main = graph.conv(x, f"{name}.conv1", first.weight, first.bias, stride=2 if down else 1, pad=0 if down else 1)
    main = graph.quantize(graph.op("Relu", [main], f"{name}.relu1"))
    main = graph.quantize(graph.conv(main, f"{name}.conv2", second.weight, second.bias, pad=1))
    if down:
        x, main, size = _write_shortcut(graph, x, main, name, (len(second.weight), first.weight.shape[1]), size)
    total = graph.op("Add", [main, x], f"{name}.add")
    return graph.quantize(graph.op("Relu", [total], f"{name}.relu2")), size


def _write_shortcut(
    graph: GraphWriter, x: str, main: str, name: str, channels_out_in: tuple[int, int], size: int
) -> tuple[str, str, int]:
    """The skip of a stride-2 block: a 2×2 average, then zeros to the larger of both sizes and channel counts."""
    width, channels = channels_out_in
    pooled_size, main_size = size // 2, (size - 3) // 2 + 1
    x = graph.quantize(graph.op("AveragePool", [x], f"{name}.skip", kernel_shape=[2, 2], strides=[2, 2]))
    if width > channels:
        pads = graph.constant(f"{name}.skip.pads", np.array([0, 0, 0, 0, 0, width - channels, 0, 0], np.int64))
        x = graph.quantize(graph.op("Pad", [x, pads], f"{name}.skip.pad"), like=f"{name}.skip")
    if pooled_size > main_size:
        grow = pooled_size - main_size
        pads = graph.constant(f"{name}.main.pads", np.array([0, 0, 0, 0, 0, 0, grow, grow], np.int64))
        main = graph.quantize(graph.op("Pad", [main, pads], f"{name}.main.pad"), like=f"{name}.conv2")
    return x, main, max(pooled_size, main_size)
