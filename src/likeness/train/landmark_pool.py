"""Faces cut out upright once, and shaken afresh in every batch: most of what the refiner learns landmarks from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from likeness.train.detector_network import CROP_PX, TEMPLATE_PX
from likeness.train.teacher_faces import TeacherFaces
from likeness.types import Pixels, Vector
from likeness.vision.align import cut_out
from likeness.vision.decode import decode_photo
from likeness.vision.detect import MIRRORED
from likeness.vision.single_shot import as_complex, upright, ways_back

POOL_PX, ZOOM, MARGIN_PX = 96, 1.5, 12.0
"""A pool's crops show the template `ZOOM` times as large, with a margin to shake it in."""
_TEMPLATE = np.array(TEMPLATE_PX, np.float32)
_TURN, _SCALE, _SHIFT_PX, _SQUEEZE = 0.16, 0.1, 1.7, 0.25


@dataclass(frozen=True, slots=True, eq=False)
class FacePool:
    """Crops `(n, 96, 96, 3)` and the landmarks `(n, 5, 2)` in pixels of an unshaken crop of the refiner."""

    pixels: Pixels
    landmarks: Vector

    @classmethod
    def gather(cls, faces: TeacherFaces, usable: NDArray[np.intp], most: int) -> FacePool:
        """Cut out the faces with these numbers, at most so many, by the teacher's landmarks."""
        chosen = np.random.default_rng(0).permutation(usable)[:most]
        forth, shift = upright(faces.landmarks_px[chosen], _TEMPLATE)
        points = as_complex(faces.landmarks_px[chosen]) * forth[:, None] + shift[:, None]
        offset = MARGIN_PX * (1 + 1j)
        pixels = np.empty((len(chosen), POOL_PX, POOL_PX, 3), np.uint8)
        for place, back in enumerate(ways_back(forth * ZOOM, shift * ZOOM + offset)):
            path = faces.paths[int(faces.photo[chosen[place]])]
            pixels[place] = cut_out(Image.fromarray(decode_photo(faces.folder / path).pixels), back, POOL_PX)
        return cls(pixels, np.stack([points.real, points.imag], axis=-1).astype(np.float32))

    def batch(self, rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
        """Crops `(size, 3, 48, 48)` of 0 to 255, shaken and weathered, and offsets `(size, 10)` as in `Crops`."""
        chosen = rng.integers(len(self.pixels), size=size)
        linear, moved = _shakes(rng, size)
        landmarks = torch.from_numpy(_shaken(self.landmarks[chosen], linear, moved))
        whole = torch.from_numpy(self.pixels[chosen]).permute(0, 3, 1, 2).float()
        crops = _sampled(whole, linear, moved, "border" if rng.random() < 0.5 else "zeros")
        if rng.random() < 0.5:
            crops = crops.flip(3)
            landmarks = landmarks[:, list(MIRRORED)] * torch.tensor([-1.0, 1.0]) + torch.tensor([float(CROP_PX), 0.0])
        offsets = (landmarks - torch.from_numpy(_TEMPLATE)) / CROP_PX
        return _weathered(rng, crops), offsets.flatten(1)


def _shakes(rng: np.random.Generator, size: int) -> tuple[Vector, Vector]:
    """Maps of a crop's pixels, counted from its middle, to the unshaken crop's: `(n, 2, 2)` and `(n, 2)`."""
    turn, scale = rng.normal(0, _TURN, size), np.exp(rng.normal(0, _SCALE, size))
    cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.stack([np.stack([cosine, -sine], -1), np.stack([sine, cosine], -1)], axis=1)
    # A face half turned away is narrower.
    narrow = np.where(rng.random(size) < _SQUEEZE, rng.uniform(1.0, 1.35, size), 1.0)
    linear[:, :, 0] *= narrow[:, None]
    return linear.astype(np.float32), rng.normal(0, _SHIFT_PX, (size, 2)).astype(np.float32)


def _shaken(landmarks: Vector, linear: Vector, moved: Vector) -> Vector:
    """Where landmarks `(n, 5, 2)` lie in the shaken crops."""
    apart = landmarks - CROP_PX / 2 - moved[:, None]
    back = np.linalg.solve(linear, apart.transpose(0, 2, 1)).transpose(0, 2, 1) + CROP_PX / 2
    return np.asarray(back, np.float32)


def _sampled(whole: Tensor, linear: Vector, moved: Vector, beyond: str) -> Tensor:
    """The shaken crops out of the pool's. Both count from their middles in halves of their sides, as torch does."""
    share = ZOOM * CROP_PX / POOL_PX
    theta = np.concatenate([linear * share, (moved * ZOOM / (POOL_PX / 2))[:, :, None]], axis=2)
    grid = functional.affine_grid(torch.from_numpy(theta), [len(whole), 3, CROP_PX, CROP_PX], align_corners=False)
    return functional.grid_sample(whole, grid, padding_mode=beyond, align_corners=False)


def _weathered(rng: np.random.Generator, crops: Tensor) -> Tensor:
    """Other light and colours, fewer pixels, noise, and something in front, for some of the crops."""
    size = len(crops)

    def some(share: float) -> Tensor:
        return torch.from_numpy(rng.random(size) < share)

    def spread(deviation: float, channels: int) -> Tensor:
        return torch.from_numpy(rng.normal(0, deviation, (size, channels, 1, 1)).astype(np.float32))

    coarse = functional.interpolate(functional.avg_pool2d(crops, 2), scale_factor=2.0, mode="bilinear")
    crops = torch.where(some(0.25)[:, None, None, None], coarse, crops)
    crops = torch.where(some(0.12)[:, None, None, None], crops.mean(1, keepdim=True), crops)
    crops = (crops / 255).clamp(1e-3, 1) ** spread(0.25, 1).exp() * 255
    crops = crops * (spread(0.15, 1) + spread(0.06, 3)).exp() + spread(12.0, 1)
    noise = torch.from_numpy(rng.standard_normal(crops.shape, np.float32))
    crops = crops + noise * (some(0.2).float() * 9)[:, None, None, None]
    for index in torch.nonzero(some(0.2)).flatten().tolist():
        left, top = rng.integers(0, CROP_PX - 8, 2)
        wide, high = rng.integers(6, 26, 2)
        colour = torch.from_numpy(rng.uniform(0, 255, (3, 1, 1)).astype(np.float32))
        crops[index, :, top : top + high, left : left + wide] = colour
    return crops.clamp(0, 255)
