"""Turning, scaling and moving a face to where an embedder expects it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.types import Pixels, Vector


def similarity_transform(source: Vector, target: Vector) -> NDArray[np.float64]:
    """The `(2, 3)` matrix that rotates, scales and moves `source` points `(n, 2)` nearest to `target` (least squares).

    Umeyama 1991, "Least-squares estimation of transformation parameters between two point patterns", without
    reflections. Coinciding source points give a pure translation.
    """
    src, dst = np.asarray(source, np.float64), np.asarray(target, np.float64)
    src_mean, dst_mean = src.mean(axis=0), dst.mean(axis=0)
    a, b = src - src_mean, dst - dst_mean
    spread = (a**2).sum()
    if spread < 1e-12:
        return np.column_stack([np.eye(2), dst_mean - src_mean])
    # In the plane a rotation with scale is one complex number; least squares has it in closed form.
    real = (a * b).sum() / spread
    imaginary = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum() / spread
    linear = np.array([[real, -imaginary], [imaginary, real]])
    return np.column_stack([linear, dst_mean - linear @ src_mean])


def align(pixels: Pixels, landmarks_px: Vector, template_px: Vector, side_px: int) -> Pixels:
    """The face as a `(side_px, side_px, 3)` crop with its landmarks nearest to the template's; black past the edge."""
    matrix = similarity_transform(landmarks_px, template_px)
    shrink = float(np.hypot(matrix[0, 0], matrix[1, 0]))
    if shrink < 1e-6:
        return np.zeros((side_px, side_px, 3), np.uint8)
    linear = np.linalg.inv(matrix[:, :2])
    back = np.column_stack([linear, -linear @ matrix[:, 2]])
    return cut_out(Image.fromarray(pixels), back, side_px)


def cut_out(image: Image.Image, back: NDArray[np.float64], side_px: int) -> Pixels:
    """A `(side_px, side_px, 3)` crop; `back (2, 3)` turns, scales and moves its coordinates to the picture's."""
    image, back = _reduced(image, back, side_px, float(np.hypot(back[0, 0], back[1, 0])))
    crop = image.transform((side_px, side_px), Image.Transform.AFFINE, tuple(back.ravel()), Image.Resampling.BILINEAR)
    return np.asarray(crop)


def _reduced(
    image: Image.Image, back: NDArray[np.float64], side_px: int, step: float
) -> tuple[Image.Image, NDArray[np.float64]]:
    """The picture's part under the crop, averaged down where the crop's pixels are `step` ≥ 2 of the picture's.

    Bilinear sampling looks at four pixels only; without this, large faces would alias.
    """
    factor = int(step)
    if factor < 2:
        return image, back
    corners = np.array([[0, 0, 1], [side_px, 0, 1], [0, side_px, 1], [side_px, side_px, 1]]) @ back.T
    low = np.clip(np.floor(corners.min(axis=0)), 0, image.size).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)), 0, image.size).astype(int)
    if (high <= low).any():
        return image, back
    part = image.reduce(factor, box=(int(low[0]), int(low[1]), int(high[0]), int(high[1])))
    moved = back.copy()
    moved[:, 2] -= low
    return part, moved / factor
