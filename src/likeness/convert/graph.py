"""A small writer of ONNX graphs, in float32 or with quantize/dequantize pairs at stated ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
WEIGHT_MAX = 63
"""Weights use seven of their eight bits: processors without VNNI add pairs of products in 16 bits, and two of 255 × 127
would overflow (seen: embeddings off by up to 0.04 in cosine), two of 255 × 63 do not."""
Ranges = Mapping[str, tuple[float, float]]


class GraphWriter:
    """Collects nodes and weights; each method adds one step and returns the name of its output.

    With `ranges` (tensor name → smallest and largest value seen) convolutions get int8 weights (symmetric, one scale
    per output channel) and `quantize` inserts a uint8 quantize/dequantize pair; without, `quantize` does nothing.
    """

    def __init__(self, ranges: Ranges | None = None) -> None:
        self.ranges = ranges
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self._scales: dict[str, float] = {}

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        """Store a weight."""
        self.weights.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def op(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add any one-output node."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def pixels(self, name: str) -> str:
        """uint8 `(n, h, w, 3)` pixels to `(n, 3, h, w)` numbers of the same value (0 to 255)."""
        planes = self.op("Transpose", [name], f"{name}.planes", perm=[0, 3, 1, 2])
        if self.ranges is None:
            return self.op("Cast", [planes], f"{name}.float", to=TensorProto.FLOAT)
        # Pixels are uint8 already: a scale of 1 makes them a quantized tensor without any loss.
        self._scales[f"{name}.float"] = 1.0
        scale = self.constant(f"{name}.scale", np.float32(1.0))
        zero = self.constant(f"{name}.zero", np.uint8(0))
        return self.op("DequantizeLinear", [planes, scale, zero], f"{name}.float")

    def conv(
        self,
        x: str,
        output: str,
        weight: NDArray[np.float32],
        bias: NDArray[np.float32],
        *,
        stride: int = 1,
        pad: int = 0,
    ) -> str:
        """2-d convolution, weight `(out, in, h, w)`."""
        attributes = {"strides": [stride] * 2, "pads": [pad] * 4, "kernel_shape": list(weight.shape[2:])}
        if self.ranges is None:
            names = [self.constant(f"{output}.w", weight), self.constant(f"{output}.b", bias)]
        else:
            names = self._int8_weights(x, output, weight, bias)
        return self.op("Conv", [x, *names], output, **attributes)

    def _int8_weights(self, x: str, output: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> list[str]:
        scale = (np.abs(weight).max(axis=(1, 2, 3)) / WEIGHT_MAX).astype(np.float32)
        scale[scale == 0] = 1.0
        whole = np.rint(weight / scale[:, None, None, None]).clip(-WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
        bias_scale = (scale * np.float32(self._scales[x])).astype(np.float32)
        whole_bias = np.rint(bias / bias_scale).astype(np.int32)
        zeros = np.zeros(len(scale), np.int8)
        w = self.op(
            "DequantizeLinear",
            [
                self.constant(f"{output}.w.int8", whole),
                self.constant(f"{output}.w.scale", scale),
                self.constant(f"{output}.w.zero", zeros),
            ],
            f"{output}.w",
            axis=0,
        )
        b = self.op(
            "DequantizeLinear",
            [
                self.constant(f"{output}.b.int32", whole_bias),
                self.constant(f"{output}.b.scale", bias_scale),
                self.constant(f"{output}.b.zero", zeros.astype(np.int32)),
            ],
            f"{output}.b",
            axis=0,
        )
        return [w, b]

    def quantize(self, x: str, *, like: str | None = None) -> str:
        """Round a tensor to uint8 by its range (or by that of the tensor `like`), where ranges are given."""
        if self.ranges is None:
            return x
        low, high = self.ranges[like or x]
        low, high = min(low, 0.0), max(high, 0.0)
        scale = np.float32((high - low) / 255 or 1.0)
        zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
        names = [self.constant(f"{x}.scale", scale), self.constant(f"{x}.zero", zero)]
        self.op("QuantizeLinear", [x, *names], f"{x}.q")
        self._scales[f"{x}.dq"] = float(scale)
        return self.op("DequantizeLinear", [f"{x}.q", *names], f"{x}.dq")

    def save(
        self,
        path: Path,
        *,
        inputs: Mapping[str, tuple[int, Sequence[int | str]]],
        outputs: Mapping[str, Sequence[int | str]],
        doc: str,
    ) -> None:
        """Check the graph and write it: `inputs` name → (element type, shape), `outputs` name → float32 shape."""
        graph = helper.make_graph(
            self.nodes,
            path.stem,
            [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            self.weights,
            doc_string=doc,
        )
        model = helper.make_model(
            graph,
            ir_version=IR_VERSION,
            opset_imports=[helper.make_opsetid("", OPSET)],
            producer_name="likeness",
        )
        onnx.checker.check_model(model, full_check=True)
        path.write_bytes(model.SerializeToString(deterministic=True))
