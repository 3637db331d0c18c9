"""Backgrounds for portraits and a landscape, made of gradients and noise."""

from __future__ import annotations

import numpy as np

from paint import noise, over, ramp
from warp import Floats, blur, pixel_grid

SCENES = ("studio", "garden", "office", "evening", "wall", "sea")

_STUDIO = ((0.55, 0.60, 0.66), (0.70, 0.66, 0.60), (0.42, 0.50, 0.52), (0.62, 0.55, 0.60), (0.80, 0.79, 0.76))


def paint_background(size: tuple[int, int], scene: str, rng: np.random.Generator) -> Floats:
    """A picture `(h, w, 3)`, 0 to 1, of a kind of scene: one of SCENES, or `landscape`."""
    width, height = size
    places = (pixel_grid(height, width) / height).astype(np.float32)
    painter = {
        "studio": _studio,
        "garden": _garden,
        "office": _office,
        "evening": _evening,
        "wall": _wall,
        "sea": _sea,
        "landscape": _landscape,
    }[scene]
    picture: Floats = painter(places, rng)
    return np.clip(picture, 0, 1)


def _colour(*rgb: float) -> Floats:
    return np.array(rgb, np.float32)


def _studio(places: Floats, rng: np.random.Generator) -> Floats:
    base = _colour(*_STUDIO[rng.integers(len(_STUDIO))])
    middle = places[..., 0].max() / 2
    distance = np.hypot(places[..., 0] - middle, places[..., 1] - 0.4)
    shade = 1.12 - 0.55 * distance**1.3 + 0.05 * noise(places, (2, 2), rng)
    result: Floats = base * shade[..., None]
    return result


def _garden(places: Floats, rng: np.random.Generator) -> Floats:
    leaf = 0.5 + 0.35 * noise(places, (5, 5), rng) + 0.25 * noise(places, (11, 11), rng)
    picture = _colour(0.18, 0.30, 0.14) + leaf[..., None] * _colour(0.30, 0.36, 0.14)
    return _spots(picture, places, rng, _colour(0.92, 0.95, 0.72), 22, 0.5)


def _evening(places: Floats, rng: np.random.Generator) -> Floats:
    dusk = _colour(0.10, 0.12, 0.22) + (places[..., 1] * 0.5)[..., None] * _colour(0.34, 0.18, 0.10)
    dusk = dusk + 0.03 * noise(places, (3, 3), rng)[..., None]
    return _spots(dusk, places, rng, _colour(1.0, 0.76, 0.42), 16, 0.6)


def _spots(
    picture: Floats, places: Floats, rng: np.random.Generator, colour: Floats, count: int, strength: float
) -> Floats:
    """Lights out of focus."""
    widest = float(places[..., 0].max())
    for _ in range(count):
        at = rng.uniform([0, 0], [widest, 0.75])
        radius = rng.uniform(0.02, 0.06)
        tint = np.clip(colour + rng.uniform(-0.12, 0.12, 3), 0, 1).astype(np.float32)
        disc = ramp(np.hypot(*np.moveaxis(places - at.astype(np.float32), -1, 0)), radius, radius * 0.8)
        picture = over(picture, tint, disc * rng.uniform(0.15, strength))
    return blur(picture, 2.0)


def _office(places: Floats, rng: np.random.Generator) -> Floats:
    picture = np.broadcast_to(_colour(0.74, 0.75, 0.74), (*places.shape[:2], 3)).astype(np.float32)
    picture = picture * (1.05 - 0.2 * places[..., 1])[..., None]
    widest = float(places[..., 0].max())
    edge = rng.uniform(0.1, 0.3)
    for left in np.arange(edge - 0.5, widest, 0.42):
        inside = ramp(np.abs(places[..., 0] - left), 0.17, 0.155) * ramp(places[..., 1], 0.72, 0.70)
        picture = over(picture, _colour(0.86, 0.91, 0.96) - 0.1 * places[..., 1:2], inside)
    shelf = ramp(places[..., 1], 0.78, 0.8)
    picture = over(picture, _colour(0.52, 0.42, 0.34) + 0.05 * noise(places, (2, 30), rng)[..., None], shelf)
    return blur(picture, 7.0)


def _wall(places: Floats, rng: np.random.Generator) -> Floats:
    base = _colour(*((0.72, 0.50, 0.40), (0.60, 0.66, 0.58), (0.78, 0.70, 0.55))[rng.integers(3)])
    grain = (
        0.05 * noise(places, (6, 6), rng) + 0.04 * noise(places, (25, 25), rng) + 0.03 * noise(places, (80, 80), rng)
    )
    shade = 1.0 + grain - 0.25 * (places[..., 0] - 0.3)
    return blur((base * shade[..., None]).astype(np.float32), 1.2)


def _sea(places: Floats, rng: np.random.Generator) -> Floats:
    y = places[..., 1]
    sky = _colour(0.55, 0.72, 0.88) + (y * 0.55)[..., None] * _colour(0.55, 0.35, 0.12)
    clouds = ramp(noise(places, (2.2, 6), rng) + 0.5 * noise(places, (6, 14), rng), 0.1, 0.9)
    picture = over(sky, _colour(0.96, 0.96, 0.95), 0.6 * clouds * ramp(y, 0.5, 0.1))
    water = _colour(0.18, 0.42, 0.52) + 0.06 * noise(places, (9, 70), rng)[..., None]
    picture = over(picture, water, ramp(y, 0.52, 0.53))
    picture = over(
        picture, _colour(0.82, 0.74, 0.60) + 0.03 * noise(places, (30, 30), rng)[..., None], ramp(y, 0.78, 0.82)
    )
    return blur(picture, 2.5)


def _landscape(places: Floats, rng: np.random.Generator) -> Floats:
    x, y = places[..., 0], places[..., 1]
    picture: Floats = _colour(0.42, 0.62, 0.86) + (y * 0.9)[..., None] * _colour(0.5, 0.3, 0.1)
    clouds = ramp(noise(places, (2, 5), rng) + 0.5 * noise(places, (6, 12), rng), 0.2, 1.0)
    picture = over(picture, _colour(0.98, 0.97, 0.95), 0.7 * clouds * ramp(y, 0.5, 0.2))
    for layer in range(5):
        line = np.stack([x, np.full_like(x, layer * 7.3)], axis=-1)
        ridge: Floats = 0.40 + 0.09 * layer + (0.10 - 0.012 * layer) * noise(line, (1.3 + 0.5 * layer, 1), rng)
        ridge = ridge + 0.02 * noise(line, (9 + 5 * layer, 1), rng)
        near = layer / 4
        tint = _colour(0.50, 0.60, 0.72) * (1 - near) + _colour(0.20, 0.34, 0.16) * near
        bent = places @ np.array([[0.8, -0.6], [0.6, 0.8]], np.float32)
        rough = (0.02 + 0.03 * near) * (noise(places, (23, 41), rng) + noise(bent, (50, 70), rng))
        picture = over(picture, tint + rough[..., None], ramp(y - ridge, -0.002, 0.004))
    return blur(picture.astype(np.float32), 0.6)
