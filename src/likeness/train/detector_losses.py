"""What the detector's networks are trained to lessen."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from likeness.train.detector_network import Maps
from likeness.train.detector_targets import FACE, IGNORED

BOX_WEIGHT, LANDMARK_WEIGHT = 2.0, 2.0
_BETA = 0.04
"""Share of a face's size below which the landmarks' loss is quadratic."""


class FinderLoss(NamedTuple):
    """The whole, and its parts."""

    total: Tensor
    score: Tensor
    box: Tensor
    landmark: Tensor


def decode_maps(maps: Maps, centres: Tensor, strides: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes `(n, m, 4)` and landmarks `(n, m, 5, 2)` in pixels; `m` places at `centres (m, 2)`, `strides (m, 1)`."""
    middle = centres + maps.boxes[..., :2] * strides
    half = maps.boxes[..., 2:].clamp(max=5.0).exp() * strides / 2
    landmarks = centres[:, None] + maps.landmarks * strides[:, None]
    return torch.cat([middle - half, middle + half], -1), landmarks


def finder_loss(
    maps: Maps, centres: Tensor, strides: Tensor, kinds: Tensor, boxes: Tensor, landmarks: Tensor
) -> FinderLoss:
    """Quality focal loss of the scores, generalised IoU of the boxes, smooth L1 of the landmarks in faces' sizes.

    Shapes: `kinds (n, m)`, `boxes (n, m, 4)` and `landmarks (n, m, 5, 2)` in pixels, as `Targets`.
    A place's score is taught to be the overlap of its own box with the face's (Li et al. 2020, "Generalized focal
    loss"). Means are over the places with a face.
    """
    found, marks = decode_maps(maps, centres, strides)
    face = kinds == FACE
    count = face.sum().clamp(min=1)
    overlap, general = box_overlaps(found[face], boxes[face])
    quality = torch.zeros_like(maps.scores)
    quality[face] = overlap.detach()
    score = (quality_focal_loss(maps.scores, quality) * (kinds != IGNORED)).sum() / count
    box = (1 - general).sum() / count
    size = (boxes[face][:, 2:] - boxes[face][:, :2]).mean(1)[:, None, None]
    landmark = functional.smooth_l1_loss(marks[face] / size, landmarks[face] / size, beta=_BETA, reduction="sum")
    landmark = landmark / (count * 10)
    return FinderLoss(score + BOX_WEIGHT * box + LANDMARK_WEIGHT * 10 * landmark, score, box, landmark)


def quality_focal_loss(logits: Tensor, quality: Tensor) -> Tensor:
    """|q − σ(x)|² · cross-entropy(σ(x), q), for each place: Li et al. 2020, with β = 2."""
    apart = (quality - logits.sigmoid()).abs()
    return apart**2 * functional.binary_cross_entropy_with_logits(logits, quality, reduction="none")


def box_overlaps(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union, and its generalised form, of boxes `(k, 4)` one by one: `(k,)` each.

    Rezatofighi et al. 2019, "Generalized intersection over union": IoU − (hull − union) / hull.
    """
    sides = torch.minimum(first[:, 2:], second[:, 2:]) - torch.maximum(first[:, :2], second[:, :2])
    shared = sides.clamp(min=0).prod(1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1) for boxes in (first, second)]
    union = (areas[0] + areas[1] - shared).clamp(min=1e-6)
    hull = (torch.maximum(first[:, 2:], second[:, 2:]) - torch.minimum(first[:, :2], second[:, :2])).prod(1)
    overlap = shared / union
    return overlap, overlap - (hull - union) / hull.clamp(min=1e-6)
