"""Few faces made many: views of aligned crops, a batch at a time, as functions of seed, round and photo alone.

A view is made in two steps. What teacher and student both see is a new face to the teacher: blended with another,
stretched, bent, lit otherwise, blurred, covered in part. The student then sees it as a hasty alignment would cut it,
turned, scaled and moved by a little, and is told what the teacher said of the face where it belongs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Strength = Literal["none", "light", "strong"]
_BENDS = 5
_WEIGHTS = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """How often, and how far, crops are changed; shares are probabilities, lengths are shares of the crop's side.

    Attributes:
        blend: share of faces that are blended with another.
        stretch: standard deviation of the stretching of each axis and of the shear.
        bend: standard deviation of the moves of a coarse net laid over the face.
        light: range of brightness, contrast and each colour's gain.
        grey, blur, noise, cover: shares of faces made grey, blurred, noisy, partly covered.
        turn_degrees, scale, shift: standard deviations of the student's alignment.
    """

    blend: float = 0.4
    stretch: float = 0.05
    bend: float = 0.012
    light: float = 0.3
    grey: float = 0.15
    blur: float = 0.25
    noise: float = 0.2
    cover: float = 0.12
    turn_degrees: float = 2.5
    scale: float = 0.03
    shift: float = 0.012


PLANS: dict[Strength, ViewPlan] = {
    "none": ViewPlan(*[0.0] * 11),
    "light": ViewPlan(blend=0.0, stretch=0.02, bend=0.0, light=0.15, grey=0.05, blur=0.1, noise=0.0, cover=0.0),
    "strong": ViewPlan(),
}


class Views:
    """Views of crops `(n, s, s, 3)` uint8, held as `(n, 3, s, s)`."""

    def __init__(self, crops: Tensor, plan: ViewPlan, *, seed: int = 0) -> None:
        if crops.ndim != 4 or crops.shape[1] != 3 or crops.dtype != torch.uint8:
            raise ValueError(f"expected crops (n, 3, s, s) uint8, got {tuple(crops.shape)} {crops.dtype}")
        self.crops, self.plan, self.seed = crops, plan, seed

    def shared(self, round_: int, places: Tensor) -> Tensor:
        """What teacher and student both see of the photos at `places` `(b,)` in a round: `(b, 3, s, s)` uint8.

        Round 0 shows the crops as they are. A photo's view does not depend on what else is in the batch.
        """
        faces = self.crops[places].float()
        if round_ == 0 or self.plan == PLANS["none"]:
            return faces.to(torch.uint8)
        draws = torch.stack([self._draws(round_, int(place)) for place in places])
        faces = self._blended(faces, draws)
        faces = self._bent(faces, draws)
        faces = self._lit(faces, draws)
        faces = self._spoilt(faces, draws)
        return faces.round_().clamp_(0, 255).to(torch.uint8)

    def student(self, shared: Tensor, side_px: int, generator: torch.Generator) -> Tensor:
        """What the student sees of shared views, `(b, 3, side_px, side_px)` float32: half of them mirrored."""
        plan, count = self.plan, len(shared)
        turn = torch.randn(count, generator=generator) * math.radians(plan.turn_degrees)
        grow = 1 + torch.randn(count, generator=generator) * plan.scale
        move = torch.randn(count, 2, generator=generator) * plan.shift * 2
        mirror = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        rows = torch.stack(
            [
                torch.stack([mirror * grow * turn.cos(), -grow * turn.sin(), move[:, 0]], dim=1),
                torch.stack([mirror * grow * turn.sin(), grow * turn.cos(), move[:, 1]], dim=1),
            ],
            dim=1,
        )
        grid = functional.affine_grid(rows, [count, 3, side_px, side_px], align_corners=False)
        return _sampled(shared.float(), grid)

    def blended(self, round_: int, places: Tensor) -> Tensor:
        """Which photos' views in a round show two faces in one `(b,)`."""
        if round_ == 0:
            return torch.zeros(len(places), dtype=torch.bool)
        return torch.tensor([float(self._draws(round_, int(place))[0]) < self.plan.blend for place in places])

    def _draws(self, round_: int, place: int) -> Tensor:
        """The random numbers of one view, uniform in [0, 1)."""
        generator = torch.Generator().manual_seed(hash((self.seed, round_, place)) & 0xFFFFFFFF)
        return torch.rand(32 + 2 * _BENDS * _BENDS, generator=generator)

    def _blended(self, faces: Tensor, draws: Tensor) -> Tensor:
        others = (draws[:, 1] * len(self.crops)).long().clamp_max(len(self.crops) - 1)
        share = torch.where(draws[:, 0] < self.plan.blend, 0.25 + 0.5 * draws[:, 2], 0.0).view(-1, 1, 1, 1)
        chosen = share.flatten() > 0
        if chosen.any():
            faces[chosen] += share[chosen] * (self.crops[others[chosen]].float() - faces[chosen])
        return faces

    def _bent(self, faces: Tensor, draws: Tensor) -> Tensor:
        plan, count, side = self.plan, len(faces), faces.shape[2]
        stretch = _normal(draws[:, 3:7]) * plan.stretch
        rows = torch.zeros(count, 2, 3)
        rows[:, 0, 0], rows[:, 1, 1] = 1 + stretch[:, 0], 1 + stretch[:, 1]
        rows[:, 0, 1], rows[:, 1, 0] = stretch[:, 2], stretch[:, 3] / 2
        grid = functional.affine_grid(rows, [count, 3, side, side], align_corners=False)
        moves = _normal(draws[:, 32:]).view(count, 2, _BENDS, _BENDS) * plan.bend * 2
        smooth = functional.interpolate(moves, (side, side), mode="bicubic", align_corners=True)
        return _sampled(faces, grid + smooth.permute(0, 2, 3, 1))

    def _lit(self, faces: Tensor, draws: Tensor) -> Tensor:
        plan = self.plan
        gain = 1 + (draws[:, 7:8] * 2 - 1) * plan.light + (draws[:, 8:11] * 2 - 1) * plan.light / 3
        contrast = 1 + (draws[:, 11] * 2 - 1) * plan.light
        shift = (draws[:, 12] * 2 - 1) * plan.light * 96
        middle = faces.mean(dim=(1, 2, 3), keepdim=True)
        lit = (faces - middle) * contrast.view(-1, 1, 1, 1) * gain.view(-1, 3, 1, 1)
        lit += middle * gain.view(-1, 3, 1, 1) + shift.view(-1, 1, 1, 1)
        grey = draws[:, 13] < plan.grey
        if grey.any():
            weights = torch.tensor(_WEIGHTS).view(1, 3, 1, 1)
            lit[grey] = (lit[grey] * weights).sum(dim=1, keepdim=True).expand(-1, 3, -1, -1)
        return lit.clamp_(0, 255)

    def _spoilt(self, faces: Tensor, draws: Tensor) -> Tensor:
        """Blurred, noisy, covered: rarely all at once, so face by face."""
        plan, side = self.plan, faces.shape[2]
        for at in (draws[:, 14] < plan.blur).nonzero().flatten().tolist():
            small = max(24, round(side * (0.25 + 0.6 * float(draws[at, 15]))))
            less = functional.interpolate(faces[at : at + 1], (small, small), mode="area")
            faces[at] = functional.interpolate(less, (side, side), mode="bilinear", align_corners=False)[0]
        for at in (draws[:, 16] < plan.noise).nonzero().flatten().tolist():
            generator = torch.Generator().manual_seed(int(draws[at, 17] * 2**31))
            faces[at] += torch.randn(faces[at].shape, generator=generator) * (2 + 14 * float(draws[at, 18]))
        for at in (draws[:, 19] < plan.cover).nonzero().flatten().tolist():
            x, y, w, h, *colour = draws[at, 20:27].tolist()
            left, top = round(x * side * 0.8), round(y * side * 0.8)
            right, bottom = left + round((0.1 + 0.3 * w) * side), top + round((0.1 + 0.25 * h) * side)
            faces[at, :, top:bottom, left:right] = torch.tensor(colour).view(3, 1, 1) * 255
        return faces


def _sampled(faces: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(faces, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _normal(uniform: Tensor) -> Tensor:
    """Uniform numbers in [0, 1) as normal ones, within three standard deviations."""
    return math.sqrt(2) * torch.erfinv((uniform * 2 - 1).clamp(-0.9973, 0.9973))
