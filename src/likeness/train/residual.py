"""Residual face networks of dlib's form in torch: the teacher as it is, or a student cut out of it.

A stem, stages of residual blocks of two 3×3 convolutions, a mean over what is left, a matrix. The widths of the
residual stream and the places of its cells are the teacher's (see `likeness.convert.dlib_resnet`); the stem and the
channels between the two convolutions of each block are a student's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.convert.dlib_resnet import CHANNEL_MEAN, CHANNEL_SCALE, DIMENSION, STAGES
from likeness.errors import ModelError

Array = NDArray[np.float32]
FULL_INNER = tuple(width for width, _ in STAGES)


class WholeStem(nn.Sequential):
    """The teacher's: a 7×7 convolution of stride 2 and a max pool of stride 2."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Conv2d(3, width, 7, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2))


class PatchStem(nn.Sequential):
    """A student's: patches of 4×4 pixels, and 3×3 of them together.

    Each cell sees the 12×12 pixels whose inner 11×11 the teacher's cell sees, at a fifth of its time: the teacher's
    stem works at twice the resolution on three channels, which processors do badly.
    """

    def __init__(self, width: int, channels: int) -> None:
        super().__init__(nn.Conv2d(3, channels, 4, stride=4), nn.ReLU(), nn.Conv2d(channels, width, 3), nn.ReLU())


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a skip; with `down` the first has stride 2 and the skip averages 2×2.

    A `learnt` skip is a convolution that begins as that average: quicker in eight bits, and more can become of it.
    """

    def __init__(self, channels: int, inner: int, width: int, *, down: bool, learnt: bool = False) -> None:
        super().__init__()
        self.down, self.width = down, width
        self.conv1 = nn.Conv2d(channels, inner, 3, stride=2 if down else 1, padding=0 if down else 1)
        self.conv2 = nn.Conv2d(inner, width, 3, padding=1)
        self.skip: nn.Conv2d | None = None
        if down and learnt:
            self.skip = nn.Conv2d(channels, width, 2, stride=2, bias=False)
            nn.init.zeros_(self.skip.weight)
            with torch.no_grad():
                self.skip.weight[torch.arange(channels), torch.arange(channels)] = 0.25

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, s, s)` to `(n, width, s', s')`."""
        return functional.relu(self.joined(self.conv2(functional.relu(self.conv1(x))), x))

    def joined(self, main: Tensor, x: Tensor) -> Tensor:
        """What the convolutions give plus the skip of `x`, before the last ReLU."""
        if not self.down:
            return main + x
        skip: Tensor
        if self.skip is not None:
            skip = self.skip(x)
        else:
            skip = functional.pad(functional.avg_pool2d(x, 2), (0, 0, 0, 0, 0, self.width - x.shape[1]))
        grow = skip.shape[2] - main.shape[2]
        return functional.pad(main, (0, grow, 0, grow)) + skip if grow else main + skip


class ResidualNet(nn.Module):
    """Pixels `(n, 3, 150, 150)` float32 RGB, 0 to 255, to raw embeddings `(n, 128)`.

    Args:
        patches: channels of the patches in a student's stem; None has the teacher's.
        inner: channels between the two convolutions of a block, one number a stage.
        counts: blocks kept of each stage, its first and its last ones; None keeps all.
        stages: (width, blocks) of each, the teacher's unless said.

    Attributes:
        kept: which of the teacher's blocks each block stands for.
    """

    mean: Tensor
    scale: float = CHANNEL_SCALE

    def __init__(
        self,
        *,
        patches: int | None = None,
        inner: Sequence[int] = FULL_INNER,
        counts: Sequence[int] | None = None,
        stages: Sequence[tuple[int, int]] = STAGES,
    ) -> None:
        super().__init__()
        if len(inner) != len(stages):
            raise ValueError(f"expected {len(stages)} widths, one a stage, got {len(inner)}")
        channels = stages[0][0]
        self.stem: nn.Sequential = WholeStem(channels) if patches is None else PatchStem(channels, patches)
        blocks, self.kept = [], list[int]()
        first = 0
        for stage, (width, count) in enumerate(stages):
            left = count if counts is None else counts[stage]
            for place in (0, *range(count - left + 1, count)):
                down = stage > 0 and place == 0
                blocks.append(ResidualBlock(channels, inner[stage], width, down=down, learnt=patches is not None))
                self.kept.append(first + place)
                channels = width
            first += count
        self.blocks = nn.ModuleList(blocks)
        self.matrix = nn.Linear(channels, DIMENSION, bias=False)
        self.register_buffer("mean", torch.from_numpy(CHANNEL_MEAN.copy()).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings."""
        return self.embedding(self.maps(x)[-1])

    def begin(self, x: Tensor) -> Tensor:
        """The map after the stem."""
        out: Tensor = self.stem((x - self.mean) / self.scale if self.scale != 1 else x)
        return out

    def take_pixels(self) -> None:
        """Fold the normalisation of pixels into the stem, which sees no padding, for export."""
        first = self.stem[0]
        assert isinstance(first, nn.Conv2d)
        assert first.bias is not None
        with torch.no_grad():
            first.weight /= self.scale
            first.bias -= torch.einsum("oihw,i->o", first.weight, self.mean.flatten())
        self.scale = 1

    def maps(self, x: Tensor) -> list[Tensor]:
        """The map after the stem, and after each block."""
        maps = [self.begin(x)]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return maps

    def embedding(self, last: Tensor) -> Tensor:
        """What the last map says of the face."""
        out: Tensor = self.matrix(last.mean(dim=(2, 3)))
        return out


def read_residual(path: Path) -> ResidualNet:
    """The network of an ONNX file that `likeness.convert.dlib_resnet` wrote, floats or int8.

    Raises:
        ModelError: it is a network of another form.
    """
    import onnx

    values = {each.name: np.array(onnx.numpy_helper.to_array(each)) for each in onnx.load(str(path)).graph.initializer}
    network = ResidualNet()
    try:
        first = network.stem[0]
        assert isinstance(first, nn.Conv2d)
        _fill(first, values, "stem")
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
        assert first.bias is not None
        first.bias += torch.einsum("oihw,i->o", first.weight, network.mean.flatten())
        first.weight *= CHANNEL_SCALE
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
