"""Residual face networks of dlib's form in torch: the teacher as it is, or a student cut out of it.

A stem, a max pool, stages of residual blocks of two 3×3 convolutions, a mean over what is left, a matrix. Widths of
the residual stream are the teacher's (see `likeness.convert.dlib_resnet`); the side of the crops, the stem's kernel
and the channels between the two convolutions of each block are a student's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.convert.dlib_resnet import CHANNEL_MEAN, CHANNEL_SCALE, CROP_PX, DIMENSION, STAGES
from likeness.errors import ModelError

Array = NDArray[np.float32]
FULL_INNER = tuple(width for width, _ in STAGES)
TEACHER_KERNEL = 7


@dataclass(frozen=True, slots=True)
class Grid:
    """Where a square map's cells lie in the crop: `size` cells, cell i centred at (first + step · i), in crop sides."""

    size: int
    first: float
    step: float


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a skip; with `down` the first has stride 2 and the skip averages 2×2."""

    def __init__(self, channels: int, inner: int, width: int, *, down: bool) -> None:
        super().__init__()
        self.down, self.width = down, width
        self.conv1 = nn.Conv2d(channels, inner, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(inner, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, s, s)` to `(n, width, s', s')`."""
        return functional.relu(self.joined(self.conv2(functional.relu(self.conv1(x))), x))

    def joined(self, main: Tensor, x: Tensor) -> Tensor:
        """What the convolutions give plus the skip of `x`, before the last ReLU."""
        if not self.down:
            return main + x
        skip = functional.avg_pool2d(x, 2)
        skip = functional.pad(skip, (0, 0, 0, 0, 0, self.width - x.shape[1]))
        grow = skip.shape[2] - main.shape[2]
        return functional.pad(main, (0, grow, 0, grow)) + skip


class ResidualNet(nn.Module):
    """Pixels `(n, 3, side_px, side_px)` float32 RGB, 0 to 255, to raw embeddings `(n, 128)`.

    Args:
        side_px: side of the crops.
        kernel: side of the stem's kernel; 7 stands unpadded as in the teacher, smaller ones are padded.
        inner: channels between the two convolutions of a block, one number a stage.
        stages: (width, blocks) of each, the teacher's unless said.
    """

    mean: Tensor

    def __init__(
        self,
        *,
        side_px: int = CROP_PX,
        kernel: int = TEACHER_KERNEL,
        inner: Sequence[int] = FULL_INNER,
        stages: Sequence[tuple[int, int]] = STAGES,
    ) -> None:
        super().__init__()
        if len(inner) != len(stages):
            raise ValueError(f"expected {len(stages)} widths, one a stage, got {len(inner)}")
        self.side_px, self.kernel, self.inner = side_px, kernel, tuple(inner)
        channels = stages[0][0]
        self.stem = nn.Conv2d(3, channels, kernel, stride=2, padding=_padding(kernel))
        blocks = []
        for stage, (width, count) in enumerate(stages):
            for place in range(count):
                blocks.append(ResidualBlock(channels, inner[stage], width, down=stage > 0 and place == 0))
                channels = width
        self.blocks = nn.ModuleList(blocks)
        self.matrix = nn.Linear(channels, DIMENSION, bias=False)
        self.register_buffer("mean", torch.from_numpy(CHANNEL_MEAN.copy()).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings."""
        return self.embedding(self.maps(x)[-1])

    def begin(self, x: Tensor) -> Tensor:
        """The map after stem and pool."""
        return functional.max_pool2d(functional.relu(self.stem((x - self.mean) / CHANNEL_SCALE)), 3, 2)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The map after stem and pool, and after each block."""
        maps = [self.begin(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def embedding(self, last: Tensor) -> Tensor:
        """What the last map says of the face."""
        out: Tensor = self.matrix(last.mean(dim=(2, 3)))
        return out

    def grids(self) -> list[Grid]:
        """Where the cells of each of `maps` lie, and before them those of the stem."""
        grid = Grid((self.side_px + 2 * _padding(self.kernel) - self.kernel) // 2 + 1,
                    (self.kernel / 2 - _padding(self.kernel)) / self.side_px, 2 / self.side_px)  # fmt: skip
        grids = [grid, grid := Grid((grid.size - 3) // 2 + 1, grid.first + grid.step, 2 * grid.step)]
        for block in self.blocks:
            assert isinstance(block, ResidualBlock)
            if block.down:
                size = max(grid.size // 2, (grid.size - 3) // 2 + 1)
                grid = Grid(size, grid.first + grid.step, 2 * grid.step)
            grids.append(grid)
        return grids


def _padding(kernel: int) -> int:
    return 0 if kernel == TEACHER_KERNEL else kernel // 2


def read_residual(path: Path) -> ResidualNet:
    """The network of an ONNX file that `likeness.convert.dlib_resnet` wrote, floats or int8.

    Raises:
        ModelError: it is a network of another form.
    """
    import onnx

    values = {each.name: np.array(onnx.numpy_helper.to_array(each)) for each in onnx.load(str(path)).graph.initializer}
    network = ResidualNet()
    try:
        _fill(network.stem, values, "stem")
        for index, block in enumerate(network.blocks):
            assert isinstance(block, ResidualBlock)
            _fill(block.conv1, values, f"block{index}.conv1")
            _fill(block.conv2, values, f"block{index}.conv2")
        network.matrix.weight.data = torch.from_numpy(values["matrix"].T.copy())
    except (KeyError, RuntimeError) as error:
        raise ModelError(
            f"no student can be cut out of the network {str(path)!r}: it is not a residual network of dlib's form",
            hint="distil another student from it: `likeness distil --list`",
        ) from error
    with torch.no_grad():  # the file takes pixels as they are
        assert network.stem.bias is not None
        network.stem.bias += torch.einsum("oihw,i->o", network.stem.weight, network.mean.flatten())
        network.stem.weight *= CHANNEL_SCALE
    return network.eval()


def _fill(layer: nn.Conv2d, values: dict[str, Array], name: str) -> None:
    if f"{name}.w" in values:
        weight, bias = values[f"{name}.w"], values[f"{name}.b"]
    else:
        scale = values[f"{name}.w.scale"]
        weight = values[f"{name}.w.int8"].astype(np.float32) * scale[:, None, None, None]
        bias = values[f"{name}.b.int32"].astype(np.float32) * values[f"{name}.b.scale"]
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(bias))
