"""The detector's two networks as ONNX files that take pixels as they are."""

from __future__ import annotations

import copy
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from likeness.errors import ExportFailed
from likeness.train.detector_network import CROP_PX, TEMPLATE_PX, FaceFinder, FaceRefiner
from likeness.train.onnx_export import aside, convert_to_onnx, write_model
from likeness.types import Pixels, Vector
from likeness.vision.session import Session

if TYPE_CHECKING:
    import onnx

FINDER_INPUT, FINDER_OUTPUTS = "pixels", ("scores", "geometry")
REFINER_INPUT, REFINER_OUTPUTS = "crops", ("scores", "landmarks")
LARGEST_DIFFERENCE = 0.02
"""Of any score, or of any place in strides or pixels: a file that differs by more is not the network."""
_LEAST_WEIGHTS = 1024
"""Smaller arrays stay as they are: biases, and the first weights, which take 0 to 255 and are too small for 16 bits."""


class PlainFinder(nn.Module):
    """A finder that takes `pixels (n, h, w, 3)` uint8 and gives scores `(n, m)` of 0 to 1, geometry `(n, m, 14)`."""

    def __init__(self, finder: FaceFinder) -> None:
        super().__init__()
        self.finder = folded(finder)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        scores, geometry = self.finder.look(pixels.to(torch.float32).permute(0, 3, 1, 2))
        return scores.sigmoid(), geometry


class PlainRefiner(nn.Module):
    """A refiner that takes `crops (n, s, s, 3)` uint8 and gives scores `(n,)` and landmarks `(n, 5, 2)` in pixels."""

    template: Tensor

    def __init__(self, refiner: FaceRefiner) -> None:
        super().__init__()
        self.refiner = folded(refiner)
        self.register_buffer("template", torch.tensor(TEMPLATE_PX))

    def forward(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        """See the class."""
        answers = self.refiner.look(crops.to(torch.float32).permute(0, 3, 1, 2))
        return answers[:, 0].sigmoid(), answers[:, 1:].unflatten(1, (5, 2)) * CROP_PX + self.template


Network = TypeVar("Network", FaceFinder, FaceRefiner)


def folded(network: Network) -> Network:
    """A copy at rest whose `look` takes 0 to 255: all normalisations are folded into the convolutions."""
    quiet = copy.deepcopy(network).cpu().float().eval().requires_grad_(False)
    for parent in list(quiet.modules()):
        names = [name for name, _ in parent.named_children()]
        for first, second in pairwise(names):
            left, right = getattr(parent, first), getattr(parent, second)
            if isinstance(left, nn.Conv2d) and isinstance(right, nn.BatchNorm2d):
                setattr(parent, first, fuse_conv_bn_eval(left, right))
                setattr(parent, second, nn.Identity())
    first_weights = next(module for module in quiet.modules() if isinstance(module, nn.Conv2d)).weight
    first_weights.data /= 255
    return quiet


def export_finder(finder: FaceFinder, target: Path, *, probe: Pixels) -> None:
    """Write a finder as ONNX, for any number of pictures whose sides are multiples of 32; see `PlainFinder`.

    Raises:
        ExportFailed: it cannot be exported, or the file answers otherwise to the pictures `probe (n, h, w, 3)`.
    """
    any_number = torch.export.Dim("n")
    height, width = (32 * torch.export.Dim(name, min=1, max=512) for name in ("rows", "columns"))
    example = torch.zeros(2, 96, 160, 3, dtype=torch.uint8)
    dynamic = {0: any_number, 1: height, 2: width}
    _export(PlainFinder(finder).eval(), target, probe, example, FINDER_INPUT, FINDER_OUTPUTS, dynamic)


def export_refiner(refiner: FaceRefiner, target: Path, *, probe: Pixels) -> None:
    """Write a refiner as ONNX, for any number of crops; raises as `export_finder`. See `PlainRefiner`."""
    example = torch.zeros(2, CROP_PX, CROP_PX, 3, dtype=torch.uint8)
    dynamic = {0: torch.export.Dim("n")}
    _export(PlainRefiner(refiner).eval(), target, probe, example, REFINER_INPUT, REFINER_OUTPUTS, dynamic)


def _export(
    module: nn.Module, target: Path, probe: Pixels, example: Tensor, name: str, outputs: tuple[str, ...],
    dynamic: dict[int, Any],
) -> None:  # fmt: skip
    with torch.inference_mode():
        expected = [answer.numpy() for answer in module(torch.from_numpy(probe))]
    target.parent.mkdir(parents=True, exist_ok=True)
    with aside(target) as part:
        model = convert_to_onnx(module, example, name, outputs, dynamic)
        halve_weights(model)
        write_model(model, part)
        found = Session(part, threads=1).run(**{name: probe})
        for output, ours, theirs in zip(outputs, expected, found, strict=True):
            _check_same(f"the {output} of the ONNX file {target.name}", ours, theirs)
        part.replace(target)


def _check_same(what: str, expected: Vector, found: Vector) -> None:
    apart = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("inf")
    if not apart <= LARGEST_DIFFERENCE:
        raise ExportFailed(
            f"{what} differ from the network's by up to {apart:.2g}, {LARGEST_DIFFERENCE} is allowed",
            hint="try another version of torch",
        )


def halve_weights(model: onnx.ModelProto) -> None:
    """Store a model's weights in 16 bits, half the size; onnxruntime computes in 32 all the same."""
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for weight in graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype != np.float32 or values.size < _LEAST_WEIGHTS:
            continue
        name = weight.name
        weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT, name=f"{name}.float"))
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend(casts + nodes)
