"""The networks of the single-shot detector: one that finds faces anywhere, and one that places their landmarks.

In the line of CenterNet (Zhou et al. 2019), SCRFD (Guo et al. 2021) and YuNet (Wu et al. 2023): no anchors, three
strides, plain 3x3 convolutions of few channels, one head for all strides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.vision.single_shot import STRIDES

CROP_PX = 48
"""Side of the refiner's crops."""
TEMPLATE_PX = tuple((CROP_PX * x, CROP_PX * y) for x, y in (
    (0.345, 0.39), (0.655, 0.39), (0.5, 0.565), (0.372, 0.725), (0.628, 0.725),
))  # fmt: skip
"""Where an upright face's landmarks lie in a crop: about where a teacher's mean face has them."""
PRIOR = 0.01
"""Score that every place starts with, so that the many without a face do not drown the few with one (Lin et al.)."""


@dataclass(frozen=True, slots=True)
class Widths:
    """Channels: after the stem, at strides 4, 8, 16 and 32, in the neck and head; and how many blocks a stride has."""

    stem: int = 16
    four: int = 32
    eight: int = 48
    sixteen: int = 64
    thirtytwo: int = 96
    neck: int = 32
    blocks: tuple[int, int, int] = (1, 2, 2)


class Maps(NamedTuple):
    """What the network says of each place; `m` places, stride by stride, row by row.

    Attributes:
        scores: `(n, m)` logits.
        boxes: `(n, m, 4)`: centre less the place's, in strides, and the logarithm of the sides in strides.
        landmarks: `(n, m, 5, 2)`: less the place's, in strides.
    """

    scores: Tensor
    boxes: Tensor
    landmarks: Tensor


def _convolution(inputs: int, outputs: int, stride: int = 1, side: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
    )


class _Residual(nn.Module):
    """One convolution with a way around it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.norm(self.convolution(x)))


def _stage(inputs: int, outputs: int, blocks: int) -> nn.Sequential:
    return nn.Sequential(_convolution(inputs, outputs, 2), *(_Residual(outputs) for _ in range(blocks)))


class FaceFinder(nn.Module):
    """Pixels `(n, 3, h, w)` of 0 to 255, sides multiples of 32, to `Maps`."""

    def __init__(self, widths: Widths = Widths()) -> None:
        super().__init__()
        w = widths
        self.stem = nn.Sequential(_convolution(3, w.stem, 2), _convolution(w.stem, w.four, 2))
        self.eight = _stage(w.four, w.eight, w.blocks[0])
        self.sixteen = _stage(w.eight, w.sixteen, w.blocks[1])
        self.thirtytwo = _stage(w.sixteen, w.thirtytwo, w.blocks[2])
        self.sides = nn.ModuleList(_convolution(c, w.neck, side=1) for c in (w.eight, w.sixteen, w.thirtytwo))
        self.smooth = nn.ModuleList(_convolution(w.neck, w.neck) for _ in STRIDES)
        self.head = _convolution(w.neck, w.neck)
        self.score = nn.Conv2d(w.neck, 1, 1)
        self.geometry = nn.Conv2d(w.neck, 14, 1)
        nn.init.constant_(self.score.bias, -math.log((1 - PRIOR) / PRIOR))  # type: ignore[arg-type]

    def forward(self, pixels: Tensor) -> Maps:
        """See `Maps`."""
        scores, geometry = self.look(pixels / 255)
        return Maps(scores, geometry[..., :4], geometry[..., 4:].unflatten(-1, (5, 2)))

    def look(self, shares: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels of 0 to 1 to logits `(n, m)`, and boxes and landmarks together `(n, m, 14)`."""
        eight = self.eight(self.stem(shares))
        sixteen = self.sixteen(eight)
        thirtytwo = self.thirtytwo(sixteen)
        low = self.sides[2](thirtytwo)
        middle = self.sides[1](sixteen) + functional.interpolate(low, scale_factor=2.0)
        high = self.sides[0](eight) + functional.interpolate(middle, scale_factor=2.0)
        heads = [self.head(smooth(level)) for smooth, level in zip(self.smooth, (high, middle, low), strict=True)]
        scores = torch.cat([self.score(level).flatten(1) for level in heads], 1)
        return scores, torch.cat([self.geometry(level).flatten(2) for level in heads], 2).transpose(1, 2)


class FaceRefiner(nn.Module):
    """Faces cut out upright `(n, 3, 48, 48)` of 0 to 255 to `(n, 11)`: a logit of being one, and ten offsets.

    Offsets are of each landmark's x, y from its place in the template, as shares of the crop's side.
    """

    def __init__(self, channels: tuple[int, int, int, int] = (16, 32, 48, 96)) -> None:
        super().__init__()
        a, b, c, d = channels
        self.body = nn.Sequential(
            _convolution(3, a, 2), _convolution(a, b, 2), _Residual(b), _convolution(b, c, 2), _Residual(c),
            _convolution(c, d, 2), nn.Flatten(),
        )  # fmt: skip
        self.dense = nn.Sequential(nn.Linear(d * (CROP_PX // 16) ** 2, 96), nn.ReLU(inplace=True))
        self.answer = nn.Linear(96, 11)

    def forward(self, crops: Tensor) -> Tensor:
        """See the class."""
        return self.look(crops / 255)

    def look(self, shares: Tensor) -> Tensor:
        """The same for pixels of 0 to 1."""
        answer: Tensor = self.answer(self.dense(self.body(shares)))
        return answer
