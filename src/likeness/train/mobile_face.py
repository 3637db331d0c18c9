"""MobileFaceNet: a small face network of depthwise convolutions.

Chen et al. 2018, "MobileFaceNets: Efficient CNNs for accurate real-time face verification on mobile devices": the
inverted residuals of MobileNetV2, PReLU, and in place of the mean over the last map a depthwise convolution as large
as the map, as a face's corner and its middle do not say equally much.
"""

from __future__ import annotations

from torch import Tensor, nn

SIDE_STEP = 16
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
"""(expansion, channels, blocks, stride of the first) of each stage."""
_STEM, _LAST = 64, 512


class InvertedResidual(nn.Module):
    """1×1 expansion, 3×3 depthwise, linear 1×1; a skip where sizes agree."""

    def __init__(self, channels: int, width: int, *, expand: int, stride: int) -> None:
        super().__init__()
        inner = channels * expand
        self.skips = stride == 1 and channels == width
        self.layers = nn.Sequential(
            *_convolution(channels, inner, 1),
            *_convolution(inner, inner, 3, stride=stride, groups=inner),
            *_convolution(inner, width, 1, linear=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """`(n, channels, s, s)` to `(n, width, s', s')`."""
        out: Tensor = self.layers(x)
        return x + out if self.skips else out


class MobileFace(nn.Module):
    """`(n, 3, s, s)` normalised pixels to raw embeddings `(n, dimension)`.

    Args:
        side_px: a multiple of 16; 112 in the paper.
        width: all channels but the last times this, in steps of eight.
    """

    def __init__(self, dimension: int, *, side_px: int = 112, width: float = 1.0) -> None:
        super().__init__()
        if side_px % SIDE_STEP:
            raise ValueError(f"expected a side in steps of {SIDE_STEP}, got {side_px}")
        channels = _scaled(_STEM, width)
        layers: list[nn.Module] = [
            *_convolution(3, channels, 3, stride=2),
            *_convolution(channels, channels, 3, groups=channels),
        ]
        for expand, wide, count, stride in STAGES:
            for place in range(count):
                given = _scaled(wide, width)
                layers.append(InvertedResidual(channels, given, expand=expand, stride=stride if place == 0 else 1))
                channels = given
        last, side = _scaled(_LAST, width), side_px // SIDE_STEP
        layers += _convolution(channels, last, 1)
        layers += _convolution(last, last, side, groups=last, pad=0, linear=True)
        self.layers = nn.Sequential(*layers)
        self.projection = nn.Linear(last, dimension, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Raw embeddings."""
        out: Tensor = self.projection(self.layers(x).flatten(1))
        return out


def _convolution(
    channels: int, width: int, kernel: int, *, stride: int = 1, groups: int = 1, pad: int | None = None,
    linear: bool = False,
) -> list[nn.Module]:  # fmt: skip
    padding = kernel // 2 if pad is None else pad
    convolution = nn.Conv2d(channels, width, kernel, stride=stride, padding=padding, groups=groups, bias=False)
    return [convolution, nn.BatchNorm2d(width), *([] if linear else [nn.PReLU(width)])]


def _scaled(channels: int, width: float) -> int:
    return max(8, round(channels * width / 8) * 8)
