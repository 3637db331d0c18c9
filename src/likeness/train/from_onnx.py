"""A bundle's network back in torch, so that it can be trained further: ONNX's graph, run node by node.

Knows the operators that this package's own exports and converted bundles are made of. Quantized weights become the
numbers that they stand for; the rounding between layers is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ExtraMissing, ModelError
from likeness.vision.embed import EMBEDDINGS

Attributes = dict[str, Any]
Value = Any
"""A tensor, or the numbers of an initializer that says a shape."""


class OnnxNetwork(nn.Module):
    """A graph as a module: pixels `(n, 3, s, s)` float32 RGB, 0 to 255, to raw embeddings `(n, d)`.

    Weights and biases of convolutions and products can be trained; a last linear map, the identity at first, too.

    Args:
        path: an ONNX file with one input `(n, s, s, 3)` and an output `(n, d)`; of several the one called
            `embeddings`. What only the others need is left out.

    Raises:
        ModelError: it cannot be read, or the graph has an operator that is not known here.
        ExtraMissing: the package onnx is not installed.
    """

    def __init__(self, path: Path, dimension: int) -> None:
        super().__init__()
        try:
            import onnx
        except ImportError as error:
            raise ExtraMissing("reading ONNX files needs onnx", hint="pip install 'likeness[train]'") from error
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:  # protobuf raises a class of its own for each kind of damage
            raise ModelError(f"the network {str(path)!r} cannot be read: {type(error).__name__}") from error
        if len(graph.input) != 1:
            raise ModelError(f"the network {path.name} takes {len(graph.input)} inputs where one is needed")
        outputs = [each.name for each in graph.output]
        if len(outputs) > 1 and EMBEDDINGS not in outputs:
            raise ModelError(f"none of the {len(outputs)} outputs of the network {path.name} is called {EMBEDDINGS!r}")
        self._input, self._output = graph.input[0].name, EMBEDDINGS if len(outputs) > 1 else outputs[0]
        values = {each.name: np.array(onnx.numpy_helper.to_array(each)) for each in graph.initializer}
        self._nodes = [
            (
                node.op_type,
                tuple(node.input),
                node.output[0],
                {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute},
            )
            for node in _needed(graph.node, self._output)
        ]
        unknown = sorted({kind for kind, *_ in self._nodes} - OPERATORS.keys() - QUANTIZERS)
        if unknown:
            raise ModelError(
                f"the network {path.name} cannot be trained further: it has the operators {', '.join(unknown[:5])}",
                hint="train a recipe from the start instead: likeness train --list",
            )
        self._dequantize(values)
        self.weights = nn.ParameterList()
        self._places: dict[str, int] = {}
        self._fixed: dict[str, Value] = {}
        trained = {name for kind, names, *_ in self._nodes if kind in TRAINED for name in names[1:]}
        # Only what the nodes still take: millions of quantized weights as numbers would make an export take minutes.
        taken = {name for _, names, *_ in self._nodes for name in names}
        for name, value in values.items():
            if name not in taken:
                continue
            if name in trained and value.dtype == np.float32:
                self._places[name] = len(self.weights)
                self.weights.append(nn.Parameter(torch.from_numpy(value)))
            elif value.dtype.kind == "f":
                self.register_buffer(f"fixed_{len(self._fixed)}", torch.from_numpy(value), persistent=False)
                self._fixed[name] = f"fixed_{len(self._fixed)}"
            else:
                self._fixed[name] = value.tolist()
        self.adapt = nn.Linear(dimension, dimension, bias=False)
        nn.init.eye_(self.adapt.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Raw embeddings of pixels."""
        values: dict[str, Value] = {self._input: x.permute(0, 2, 3, 1)}
        for kind, names, given, attributes in self._nodes:
            taken = [values[name] if name in values else self._stored(name) for name in names]
            values[given] = OPERATORS[kind](taken, attributes)
        out: Tensor = self.adapt(values[self._output])
        return out

    def _stored(self, name: str) -> Value:
        if not name:
            return None
        if name in self._places:
            return self.weights[self._places[name]]
        value = self._fixed[name]
        return getattr(self, value) if isinstance(value, str) else value

    def _dequantize(self, values: dict[str, Any]) -> None:
        """Replace quantized initializers by floats; of what is quantized on its way only the input is scaled."""
        kept: list[tuple[str, tuple[str, ...], str, Attributes]] = []
        for kind, names, given, attributes in self._nodes:
            if kind == "QuantizeLinear":  # rounding is not learnt through: the values stay as they are
                kept.append(("Identity", names[:1], given, {}))
            elif kind != "DequantizeLinear":
                kept.append((kind, names, given, attributes))
            elif names[0] in values:
                values[given] = _dequantized(*(values[name] for name in names), axis=attributes.get("axis", 1))
            elif self._comes_as_bytes(names[0]):
                kept.append(("ScaleInput", names, given, attributes))
            else:
                kept.append(("Identity", names[:1], given, {}))
        self._nodes = kept

    def _comes_as_bytes(self, name: str) -> bool:
        """Whether a value is the input itself, only moved."""
        makers = {given: (kind, names) for kind, names, given, _ in self._nodes}
        while name in makers and makers[name][0] in ("Transpose", "Identity"):
            name = makers[name][1][0]
        return bool(name == self._input)


def _needed(nodes: Sequence[Any], output: str) -> list[Any]:
    """The nodes that an output depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= set(node.input)
            kept.append(node)
    return kept[::-1]


def _dequantized(value: Any, scale: Any, zero: Any = None, *, axis: int) -> Any:
    shape = [-1 if at == axis and scale.ndim else 1 for at in range(value.ndim)]
    shift = 0 if zero is None else zero.astype(np.float32).reshape(shape)
    return ((value.astype(np.float32) - shift) * scale.reshape(shape)).astype(np.float32)


def _scale_input(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    value, scale = taken[0], taken[1]
    zero = taken[2] if len(taken) > 2 else 0
    scaled: Tensor = (value - zero) * scale
    return scaled


def _padded(value: Tensor, pads: Sequence[int], fill: float = 0.0) -> Tensor:
    """`pads`: begins of all axes, then ends; torch counts from the last axis."""
    half = len(pads) // 2
    flat = [side for axis in reversed(range(half)) for side in (pads[axis], pads[half + axis])]
    return functional.pad(value, flat, value=fill) if any(flat) else value


def _window(attributes: Attributes, value: Tensor, fill: float) -> tuple[Tensor, list[int]]:
    """The value padded, and what torch may pad by itself: the same on both sides."""
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b""):
        raise ModelError("the network pads its layers in a way that is not known here (auto_pad)")
    pads = list(attributes.get("pads", [0, 0, 0, 0]))
    if pads[:2] == pads[2:]:
        return value, pads[:2]
    return _padded(value, pads, fill), [0, 0]


def _conv(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    value, padding = _window(attributes, taken[0], 0.0)
    return functional.conv2d(
        value,
        taken[1],
        taken[2] if len(taken) > 2 else None,
        stride=tuple(attributes.get("strides", (1, 1))),
        padding=tuple(padding),
        dilation=tuple(attributes.get("dilations", (1, 1))),
        groups=int(attributes.get("group", 1)),
    )


def _max_pool(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    value, padding = _window(attributes, taken[0], float("-inf"))
    kernel, strides = attributes["kernel_shape"], attributes.get("strides", (1, 1))
    whole = bool(attributes.get("ceil_mode", 0))
    return functional.max_pool2d(value, kernel, strides, padding, ceil_mode=whole)


def _average_pool(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    value, padding = _window(attributes, taken[0], 0.0)
    return functional.avg_pool2d(
        value,
        attributes["kernel_shape"],
        attributes.get("strides", (1, 1)),
        padding,
        ceil_mode=bool(attributes.get("ceil_mode", 0)),
        count_include_pad=bool(attributes.get("count_include_pad", 0)),
    )


def _gemm(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    first = taken[0].T if attributes.get("transA", 0) else taken[0]
    second = taken[1].T if attributes.get("transB", 0) else taken[1]
    out: Tensor = attributes.get("alpha", 1.0) * (first @ second)
    return out + attributes.get("beta", 1.0) * taken[2] if len(taken) > 2 else out


def _reduce_mean(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    axes = taken[1] if len(taken) > 1 else attributes["axes"]
    out: Tensor = taken[0].mean(dim=tuple(int(axis) for axis in axes), keepdim=bool(attributes.get("keepdims", 1)))
    return out


def _reshape(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    # The batch's size is dynamic: what a file states of it must not be taken as it was for one example.
    out: Tensor = taken[0].flatten(1) if len(taken[1]) == 2 else taken[0].reshape(-1, *taken[1][1:])
    return out


def _clip(taken: Sequence[Value], attributes: Attributes) -> Tensor:
    low = taken[1] if len(taken) > 1 else attributes.get("min")
    high = taken[2] if len(taken) > 2 else attributes.get("max")
    out: Tensor = torch.clamp(taken[0], low, high)
    return out


def _of_two(function: Callable[[Any, Any], Any]) -> Callable[[Sequence[Value], Attributes], Tensor]:
    return lambda taken, attributes: function(taken[0], taken[1])


def _of_one(function: Callable[[Any], Any]) -> Callable[[Sequence[Value], Attributes], Tensor]:
    return lambda taken, attributes: function(taken[0])


TRAINED = frozenset(("Conv", "Gemm", "MatMul"))
QUANTIZERS = frozenset(("QuantizeLinear", "DequantizeLinear"))
OPERATORS: dict[str, Callable[[Sequence[Value], Attributes], Any]] = {
    "Add": _of_two(lambda a, b: a + b),
    "AveragePool": _average_pool,
    "Cast": _of_one(lambda a: a.float()),
    "Clip": _clip,
    "Concat": lambda taken, attributes: torch.cat(list(taken), dim=attributes["axis"]),
    "Conv": _conv,
    "Div": _of_two(lambda a, b: a / b),
    "Flatten": _of_one(lambda a: a.flatten(1)),
    "Gemm": _gemm,
    "GlobalAveragePool": _of_one(lambda a: a.mean(dim=(2, 3), keepdim=True)),
    "HardSigmoid": lambda taken, attributes: torch.clamp(
        taken[0] * attributes.get("alpha", 0.2) + attributes.get("beta", 0.5), 0, 1
    ),
    "HardSwish": _of_one(functional.hardswish),
    "Identity": _of_one(lambda a: a),
    "MatMul": _of_two(lambda a, b: a @ b),
    "MaxPool": _max_pool,
    "Mul": _of_two(lambda a, b: a * b),
    "PRelu": _of_two(lambda a, b: torch.where(a < 0, a * b, a)),
    "Pad": lambda taken, attributes: _padded(taken[0], taken[1]),
    "ReduceMean": _reduce_mean,
    "Relu": _of_one(torch.relu),
    "Reshape": _reshape,
    "ScaleInput": _scale_input,
    "Sigmoid": _of_one(torch.sigmoid),
    "Sub": _of_two(lambda a, b: a - b),
    "Transpose": lambda taken, attributes: taken[0].permute(*attributes["perm"]),
}
