"""Composite faces: many real faces bent into one shape, brought to one light, registered and averaged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.vision.align import similarity_transform
from sources import Sources
from warp import Floats, blur, pixel_grid, register, sample, spline_warp

WIDTH, HEIGHT = 360, 460
EYES_X, EYES_Y, EYES_APART = 180.0, 212.0, 76.0
"""The canvas that portraits are painted on, and where the eyes are on it, in pixels."""

_DRAWN_AWAY = 1.6
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Ingredients:
    """Faces that one invented person is mixed from, registered on the canvas.

    Attributes:
        rows: which of the sources they are.
        weights: how much of each, summing to 1.
        pictures: `(n, HEIGHT, WIDTH, 3)` float32, 0 to 1, in one light and shape.
        cover: `(n, HEIGHT, WIDTH)` 1 where the source has pixels, falling softly to 0 at its edge.
    """

    rows: tuple[int, ...]
    weights: Floats
    pictures: Floats
    cover: Floats

    def mix(self, weights: Floats) -> tuple[Floats, Floats]:
        """The mean picture, and where (0 to 1) enough of the sources have pixels for it to be one."""
        share = self.cover * weights[:, None, None]
        total = share.sum(axis=0)
        shown = np.maximum(total, 1e-4)
        mean = np.einsum("nhw,nhwc->hwc", share, self.pictures) / shown[..., None]
        # Once more, counting less what lies far from the mean: glasses, hands, lettering, a strand of hair.
        far = blur(((self.pictures - mean) ** 2).sum(axis=-1).transpose(1, 2, 0), 3).transpose(2, 0, 1)
        robust = share / (1 + far / 0.02)
        mean = np.einsum("nhw,nhwc->hwc", robust, self.pictures) / np.maximum(robust.sum(axis=0), 1e-5)[..., None]
        certain = np.clip((total - 0.6) / 0.4, 0, 1).astype(np.float32)
        return mean.astype(np.float32), certain * np.clip(2 * blur(certain, 9) - 1, 0, 1)


def choose_rows(
    sources: Sources, pool: np.typing.NDArray[np.intp], count: int, rng: np.random.Generator, limit: float
) -> tuple[int, ...]:
    """Faces like a random one of the pool, no two of them alike by more than `limit` (so that all are other people)."""
    seed = int(rng.choice(pool))
    chosen = [seed]
    # A little chance in the order, so that one seed gives several mixtures.
    likeness = sources.embeddings[pool] @ sources.embeddings[seed] + rng.normal(0, 0.01, len(pool))
    for row in pool[np.argsort(-likeness)]:
        if (sources.embeddings[chosen] @ sources.embeddings[row]).max() < limit:
            chosen.append(int(row))
        if len(chosen) == count:
            break
    return tuple(chosen)


def vary_weights(base: Floats, rng: np.random.Generator, spread: float, largest: float) -> Floats:
    """Weights near `base`, each times a random factor, none above `largest`, summing to 1."""
    weights = base * np.exp(rng.normal(0, spread, len(base)))
    for _ in range(20):
        weights = np.minimum(weights / weights.sum(), largest)
    summing: Floats = (weights / weights.sum()).astype(np.float32)
    return summing


def mean_shape(shapes: Floats, weights: Floats) -> Floats:
    """Weighted mean of landmarks `(n, 5, 2)`, its eyes level and at their place on the canvas, its halves alike."""
    # In the plane, turning and scaling is a multiplication by a complex number.
    points = shapes[..., 0] + 1j * shapes[..., 1]
    placed = (points - points[:, :1]) / (points[:, 1:2] - points[:, :1]) - 0.5
    mean = weights @ placed
    mean = (mean - mean[[1, 0, 2, 4, 3]].conj()) / 2
    return (np.stack([mean.real, mean.imag], axis=-1) * EYES_APART + [EYES_X, EYES_Y]).astype(np.float32)


def own_shape(sources: Sources, rows: tuple[int, ...], weights: Floats) -> Floats:
    """The shape of a mixture, drawn away from everybody's: means of many faces differ less than faces do."""
    everybody = sources.landmarks_px[sources.fit]
    typical = mean_shape(everybody, np.full(len(everybody), 1 / len(everybody)))
    shape: Floats = typical + _DRAWN_AWAY * (mean_shape(sources.landmarks_px[list(rows)], weights) - typical)
    return shape.astype(np.float32)


def gather(sources: Sources, folder: Path, rows: tuple[int, ...], weights: Floats) -> Ingredients:
    """Bend the faces of `rows` into one shape, bring them to one light, and register every pixel."""
    shapes = sources.landmarks_px[list(rows)]
    target = own_shape(sources, rows, weights)
    placed = [place(folder / str(sources.names[row]), shape, target) for row, shape in zip(rows, shapes, strict=True)]
    pictures = np.stack([picture for picture, _ in placed])
    cover = np.stack([edge for _, edge in placed])
    pictures = level_light(pictures, weights)
    made = Ingredients(rows, weights, pictures, cover)
    for _ in range(2):
        fixed = made.mix(weights)[0] @ _LUMA
        moved = [sharpen_fit(picture, edge, fixed) for picture, edge in zip(made.pictures, made.cover, strict=True)]
        made = Ingredients(rows, weights, np.stack([m for m, _ in moved]), np.stack([e for _, e in moved]))
    return made


def place(path: Path, landmarks_px: Floats, target: Floats) -> tuple[Floats, Floats]:
    """One source bent so that its landmarks lie on `target`, and where it has pixels."""
    image = Image.open(path).convert("RGB")
    # Twice the size first: a cubic filter keeps more than the bilinear reading afterwards would.
    larger = image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC)
    picture = np.asarray(larger, np.float32) / 255
    back = similarity_transform(target, landmarks_px)
    border = np.array([[x, y] for x in (-90, 180, 450) for y in (-80, 230, 560) if (x, y) != (180, 230)], np.float32)
    far = border @ back[:, :2].T + back[:, 2]
    # The spline is smooth: every fourth pixel, then in between, is as good and much quicker.
    coarse = pixel_grid(HEIGHT // 4 + 2, WIDTH // 4 + 2) * 4
    bent = spline_warp(np.concatenate([landmarks_px, far]), np.concatenate([target, border]), coarse)
    places = sample(bent, pixel_grid(HEIGHT, WIDTH) / 4)
    inside = np.minimum(places, [image.width - 1, image.height - 1] - places).min(axis=-1)
    return sample(picture, places * 2 + 0.5), np.clip(inside / 10, 0, 1).astype(np.float32)


def level_light(pictures: Floats, weights: Floats) -> Floats:
    """Pictures with the mean and the spread of each colour over the face set to those of all together."""
    offset = pixel_grid(HEIGHT, WIDTH) - [EYES_X, EYES_Y + 0.45 * EYES_APART]
    face = ((offset / [0.8 * EYES_APART, 1.05 * EYES_APART]) ** 2).sum(axis=-1) < 1
    inside = pictures[:, face]
    means, spreads = inside.mean(axis=1), inside.std(axis=1)
    mean, spread = weights @ means, weights @ spreads
    gain = np.clip(spread / np.maximum(spreads, 1e-3), 0.6, 1.6)
    level: Floats = (pictures - means[:, None, None]) * gain[:, None, None] + mean
    return np.clip(level, 0, 1)


def sharpen_fit(picture: Floats, cover: Floats, fixed: Floats) -> tuple[Floats, Floats]:
    """A picture and its cover, bent so that they look most like the grey picture `fixed`."""
    grey = picture @ _LUMA
    # Where the source has no pixels there is nothing to fit: let it look like the mean.
    offsets = register(grey * cover + fixed * (1 - cover), fixed)
    places = pixel_grid(HEIGHT, WIDTH) + offsets
    return sample(picture, places), sample(cover, places)
