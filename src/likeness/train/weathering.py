"""What happens to pictures on their way: light, colour, blur, noise, few pixels, JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageFilter

from likeness.types import Pixels


def relight(rng: np.random.Generator, image: Image.Image, strength: float = 1.0) -> Image.Image:
    """Another exposure, contrast and colour of light, in one table per channel."""
    gamma = np.exp(rng.normal(0, 0.25 * strength))
    gain = np.exp(rng.normal(0, 0.15 * strength)) * np.exp(rng.normal(0, 0.07 * strength, 3))
    shift = rng.normal(0, 14 * strength)
    levels = np.linspace(0, 1, 256)[None] ** gamma * 255
    table = np.clip(levels * gain[:, None] + shift, 0, 255).astype(np.uint8)
    pixels = np.asarray(image)
    # A table of numpy's: Pillow's own takes a list and rounds each of its numbers in Python.
    return Image.fromarray(np.stack([table[channel][pixels[..., channel]] for channel in range(3)], axis=-1))


def weather(rng: np.random.Generator, image: Image.Image) -> Pixels:
    """A whole picture, as a camera and a network may have left it."""
    if rng.random() < 0.5:
        image = relight(rng, image)
    if rng.random() < 0.12:
        image = image.convert("L").convert("RGB")
    if rng.random() < 0.15:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.6)))
    if rng.random() < 0.12:
        image = _fewer_pixels(rng, image)
    pixels = np.asarray(image)
    if rng.random() < 0.08:
        pixels = (pixels * rng.uniform(0.12, 0.5)).astype(np.uint8)  # low light
    if rng.random() < 0.2:
        noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(2, 16))
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        pixels = _jpeg(pixels, int(rng.integers(20, 90)))
    return pixels


def _fewer_pixels(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    share = rng.uniform(0.35, 0.8)
    small = image.resize((max(1, round(image.width * share)), max(1, round(image.height * share))))
    return small.resize(image.size, Image.Resampling.BILINEAR)


def _jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))
