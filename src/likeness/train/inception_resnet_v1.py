"""InceptionResnetV1 for faces. Szegedy et al. 2016, "Inception-v4, Inception-ResNet …"; sized as in FaceNet's ports.

Names of the parameters are those of the state dicts that facenet-pytorch publishes, so that these can be loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class ConvUnit(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(
        self,
        taken: int,
        given: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(taken, given, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(given, eps=1e-3, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, taken, h, w)` to `(n, given, h', w')`."""
        return torch.relu(self.bn(self.conv(x)))


class Residual(nn.Module):
    """Parallel branches, joined, brought back to the input's channels, scaled and added to it."""

    def __init__(
        self, channels: int, branches: Sequence[nn.Module], joined: int, *, scale: float, last_relu: bool = True
    ) -> None:
        super().__init__()
        self.scale, self.last_relu = scale, last_relu
        self.branches = [f"branch{at}" for at in range(len(branches))]
        for name, branch in zip(self.branches, branches, strict=True):
            self.add_module(name, branch)
        self.conv2d = nn.Conv2d(joined, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """The same shape as the input."""
        joined = torch.cat([getattr(self, name)(x) for name in self.branches], dim=1)
        out = self.conv2d(joined) * self.scale + x
        return torch.relu(out) if self.last_relu else out


class Reduction(nn.Module):
    """Parallel branches of stride 2, a pooling last among them, joined."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        self.branches = [f"branch{at}" for at in range(len(branches))]
        for name, branch in zip(self.branches, branches, strict=True):
            self.add_module(name, branch)

    def forward(self, x: Tensor) -> Tensor:
        """Half the height and width, channels of all branches."""
        return torch.cat([getattr(self, name)(x) for name in self.branches], dim=1)


class InceptionResnetV1(nn.Module):
    """Crops `(n, 3, s, s)`, s ≥ 75, to embeddings `(n, dimension)`; not of unit length.

    Args:
        dimension: numbers in an embedding. drop: share dropped before the last linear layer.
        blocks: how many residual blocks of each of three kinds. width: of all channels, a share of the published.
    """

    def __init__(
        self,
        dimension: int = 512,
        *,
        drop: float = 0.6,
        blocks: tuple[int, int, int] = (5, 10, 5),
        width: float = 1.0,
    ) -> None:
        super().__init__()
        size = _scaled(width)
        stem, (middle, last) = size(256), _channels(size)
        self.conv2d_1a = ConvUnit(3, size(32), 3, stride=2)
        self.conv2d_2a = ConvUnit(size(32), size(32), 3)
        self.conv2d_2b = ConvUnit(size(32), size(64), 3, padding=1)
        self.maxpool_3a = nn.MaxPool2d(3, stride=2)
        self.conv2d_3b = ConvUnit(size(64), size(80), 1)
        self.conv2d_4a = ConvUnit(size(80), size(192), 3)
        self.conv2d_4b = ConvUnit(size(192), stem, 3, stride=2)
        self.repeat_1 = nn.Sequential(*(_block35(stem, size) for _ in range(blocks[0])))
        self.mixed_6a = _mixed_6a(stem, size)
        self.repeat_2 = nn.Sequential(*(_block17(middle, size) for _ in range(blocks[1])))
        self.mixed_7a = _mixed_7a(middle, size)
        self.repeat_3 = nn.Sequential(*(_block8(last, size, scale=0.2) for _ in range(blocks[2])))
        self.block8 = _block8(last, size, scale=1.0, last_relu=False)
        self.dropout = nn.Dropout(drop)
        self.last_linear = nn.Linear(last, dimension, bias=False)
        self.last_bn = nn.BatchNorm1d(dimension, eps=1e-3, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        """Embeddings of crops."""
        x = self.conv2d_2b(self.conv2d_2a(self.conv2d_1a(x)))
        x = self.conv2d_4b(self.conv2d_4a(self.conv2d_3b(self.maxpool_3a(x))))
        x = self.repeat_2(self.mixed_6a(self.repeat_1(x)))
        x = self.block8(self.repeat_3(self.mixed_7a(x)))
        x = self.dropout(x.mean(dim=(2, 3)))
        out: Tensor = self.last_bn(self.last_linear(x))
        return out


Size = Callable[[int], int]


def _scaled(width: float) -> Size:
    return lambda channels: max(4, round(channels * width))


def _channels(size: Size) -> tuple[int, int]:
    """Channels after the two reductions."""
    middle = size(384) + size(256) + size(256)
    return middle, size(384) + 2 * size(256) + middle


def _block35(channels: int, size: Size) -> Residual:
    narrow = size(32)
    return Residual(
        channels,
        [
            ConvUnit(channels, narrow, 1),
            nn.Sequential(ConvUnit(channels, narrow, 1), ConvUnit(narrow, narrow, 3, padding=1)),
            nn.Sequential(
                ConvUnit(channels, narrow, 1),
                ConvUnit(narrow, narrow, 3, padding=1),
                ConvUnit(narrow, narrow, 3, padding=1),
            ),
        ],
        3 * narrow,
        scale=0.17,
    )


def _block17(channels: int, size: Size) -> Residual:
    narrow = size(128)
    tall = nn.Sequential(
        ConvUnit(channels, narrow, 1),
        ConvUnit(narrow, narrow, (1, 7), padding=(0, 3)),
        ConvUnit(narrow, narrow, (7, 1), padding=(3, 0)),
    )
    return Residual(channels, [ConvUnit(channels, narrow, 1), tall], 2 * narrow, scale=0.10)


def _block8(channels: int, size: Size, *, scale: float, last_relu: bool = True) -> Residual:
    narrow = size(192)
    tall = nn.Sequential(
        ConvUnit(channels, narrow, 1),
        ConvUnit(narrow, narrow, (1, 3), padding=(0, 1)),
        ConvUnit(narrow, narrow, (3, 1), padding=(1, 0)),
    )
    branches = [ConvUnit(channels, narrow, 1), tall]
    return Residual(channels, branches, 2 * narrow, scale=scale, last_relu=last_relu)


def _mixed_6a(channels: int, size: Size) -> Reduction:
    long = nn.Sequential(
        ConvUnit(channels, size(192), 1),
        ConvUnit(size(192), size(192), 3, padding=1),
        ConvUnit(size(192), size(256), 3, stride=2),
    )
    return Reduction([ConvUnit(channels, size(384), 3, stride=2), long, nn.MaxPool2d(3, stride=2)])


def _mixed_7a(channels: int, size: Size) -> Reduction:
    narrow = size(256)
    return Reduction(
        [
            nn.Sequential(ConvUnit(channels, narrow, 1), ConvUnit(narrow, size(384), 3, stride=2)),
            nn.Sequential(ConvUnit(channels, narrow, 1), ConvUnit(narrow, narrow, 3, stride=2)),
            nn.Sequential(
                ConvUnit(channels, narrow, 1),
                ConvUnit(narrow, narrow, 3, padding=1),
                ConvUnit(narrow, narrow, 3, stride=2),
            ),
            nn.MaxPool2d(3, stride=2),
        ]
    )
