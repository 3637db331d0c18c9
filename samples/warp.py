"""Bending pictures: thin-plate splines through landmarks, and a dense registration that sharpens averages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def pixel_grid(height: int, width: int) -> Floats:
    """Coordinates (x, y) of every pixel: `(height, width, 2)`."""
    ys, xs = np.mgrid[0:height, 0:width]
    return np.stack([xs, ys], axis=-1).astype(np.float32)


def sample(picture: Floats, places: Floats) -> Floats:
    """`picture` `(h, w)` or `(h, w, c)` read at `places` `(..., 2)`, in between its pixels; its edge goes on."""
    height, width = picture.shape[:2]
    x = np.clip(places[..., 0], 0, width - 1.001)
    y = np.clip(places[..., 1], 0, height - 1.001)
    left, top = x.astype(np.intp), y.astype(np.intp)
    fx, fy = x - left, y - top
    if picture.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    flat = picture.reshape(height * width, *picture.shape[2:])
    at = top * width + left
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
    mixed: Floats = (upper * (1 - fy) + lower * fy).astype(np.float32)
    return mixed


def blur(picture: Floats, sigma_px: float) -> Floats:
    """Nearly Gaussian blur of the two leading axes: three box means, which numpy does in linear time."""
    # Three boxes of width w have the variance 3 (w² - 1) / 12.
    side = round((np.sqrt(4 * sigma_px**2 + 1) - 1) / 2)
    out = picture.astype(np.float32)
    if side < 1:
        # Less than the narrowest box: a part of it.
        share = min(1.0, (sigma_px / 1.4) ** 2)
        return out if share < 0.01 else out * (1 - share) + blur(out, 1.42) * share
    for _ in range(3):
        for axis in (0, 1):
            padding = [(0, 0)] * out.ndim
            padding[axis] = (side + 1, side)
            total = np.cumsum(np.pad(out, padding, mode="edge"), axis=axis, dtype=np.float64)
            length = out.shape[axis]
            high = np.take(total, range(2 * side + 1, 2 * side + 1 + length), axis=axis)
            low = np.take(total, range(length), axis=axis)
            out = ((high - low) / (2 * side + 1)).astype(np.float32)
    return out


def spline_warp(source: Floats, target: Floats, grid: Floats) -> Floats:
    """Where each place of `grid` comes from, if `target` points `(n, 2)` come from `source` points `(n, 2)`.

    Bookstein 1989, "Principal warps: thin-plate splines and the decomposition of deformations": the smoothest map that
    goes through all the points.
    """
    n = len(target)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _radial(target[:, None] - target[None])
    system[:n, n] = system[n, :n] = 1
    system[:n, n + 1 :] = target
    system[n + 1 :, :n] = target.T
    weights = np.linalg.solve(system, np.concatenate([source, np.zeros((3, 2))]))
    kernel = np.stack([_radial(grid - point) for point in target], axis=-1)
    places: Floats = (kernel @ weights[:n] + weights[n] + grid @ weights[n + 1 :]).astype(np.float32)
    return places


def _radial(offset: NDArray[np.floating]) -> NDArray[np.float64]:
    squared = (np.asarray(offset, np.float64) ** 2).sum(axis=-1)
    value: NDArray[np.float64] = squared * np.log(np.maximum(squared, 1e-9)) / 2
    return value


def register(moving: Floats, fixed: Floats, *, steps: int = 24, smooth_px: float = 5.0) -> Floats:
    """Offsets `(h, w, 2)` that, added to the pixel grid, make grey `moving` look like grey `fixed`.

    Thirion 1998, "Image matching as a diffusion process: an analogy with Maxwell's demons", from coarse to fine.
    """
    height, width = fixed.shape
    offsets: Floats = np.zeros((height, width, 2), np.float32)
    for factor in (4, 2):
        target, source = _shrink(fixed, factor), _shrink(moving, factor)
        grid = pixel_grid(*target.shape)
        field: Floats = _shrink(offsets, factor) / factor
        down, across = np.gradient(target)
        slope = np.stack([across, down], axis=-1)
        steepness = (slope**2).sum(axis=-1)
        for _ in range(steps):
            difference = sample(source, grid + field) - target
            push = -difference / (steepness + difference**2 + 1e-3)
            field = blur(field + push[..., None] * slope, smooth_px / factor)
        fine = pixel_grid(height, width)
        offsets = sample(field * factor, (fine - (factor - 1) / 2) / factor)
    return offsets


def _shrink(picture: Floats, factor: int) -> Floats:
    height, width = (side // factor * factor for side in picture.shape[:2])
    blocks = picture[:height, :width].reshape(height // factor, factor, width // factor, factor, *picture.shape[2:])
    smaller: Floats = blocks.mean(axis=(1, 3), dtype=np.float32)
    return smaller
