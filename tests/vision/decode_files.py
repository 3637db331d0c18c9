"""Small picture files of every kind, made on the spot."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import numpy as np
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

register_heif_opener()

FORMATS = {
    "jpeg": "JPEG",
    "png": "PNG",
    "webp": "WEBP",
    "avif": "AVIF",
    "tiff": "TIFF",
    "gif": "GIF",
    "bmp": "BMP",
    "heif": "HEIF",
}
KINDS = tuple(FORMATS)
ROTATED_KINDS = ("jpeg", "png", "webp", "avif", "tiff", "heif")
LOSSY_TOLERANCE = 12.0
"""Mean difference from the original, in levels, that the loss of every kind stays below."""


def corners(width: int = 64, height: int = 48) -> Image.Image:
    """A picture whose four quarters differ, so that no rotation or mirroring leaves it as it is."""
    colours = np.array([[(220, 40, 40), (40, 200, 60)], [(40, 60, 220), (230, 220, 210)]], np.uint8)
    rows = (np.arange(height) * 2) // height
    columns = (np.arange(width) * 2) // width
    return Image.fromarray(colours[rows[:, None], columns[None, :]])


def smooth(width: int, height: int) -> Image.Image:
    """Soft colours without edges, which every codec keeps almost as they are."""
    seed = np.random.default_rng(7).integers(30, 225, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(seed).resize((width, height), Image.Resampling.BICUBIC)


def encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    """`image` as a file of `kind`."""
    file = io.BytesIO()
    quality = {} if kind in ("png", "tiff", "gif", "bmp") else {"quality": 92}
    image.save(file, FORMATS[kind], **(quality | options))
    return file.getvalue()


def encode_rotated(image: Image.Image, kind: str, orientation: int) -> bytes:
    """`image` as a file of `kind` with an EXIF orientation, its pixels left as they are."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    # pillow-heif writes it as HEIC cameras do: as a property of the picture, which its reader applies.
    return encode(image, kind, exif=exif.tobytes() if kind == "heif" else exif)


def upright(image: Image.Image, orientation: int) -> np.ndarray:
    """What a file of `encode_rotated` shows, by Pillow's own rule."""
    marked = image.copy()
    marked.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(marked))


def difference(pixels: np.ndarray, expected: np.ndarray | Image.Image) -> float:
    """Mean absolute difference in levels; the shapes must be equal."""
    wanted = np.asarray(expected).astype(int)
    assert pixels.shape == wanted.shape
    return float(np.abs(pixels.astype(int) - wanted).mean())


@cache
def sample(kind: str) -> bytes:
    """A valid file of `kind`, 64x48 pixels."""
    return encode(corners(), kind)
