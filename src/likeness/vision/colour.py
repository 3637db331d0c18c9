"""From any of Pillow's picture modes to 8-bit sRGB.

An embedded ICC profile is followed where it is not sRGB itself. Taken for sRGB, Adobe RGB shifts the red of
skin by up to 17 of 256 levels and the Display P3 of phones by up to 9, which detector and embedder were not
trained on. Following it costs 20 to 30 ms per megapixel (`benchmarks/decode.py`), paid only by photos that
carry one and only for the pixels that a reduced decode leaves. A broken profile, or one that does not fit the
picture, is passed over: the pixels are then taken as sRGB, as browsers do.
"""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import PhotoUnsupported
from likeness.types import Pixels

if TYPE_CHECKING:
    from PIL import Image, ImageCms

_SRGB_NAMES: Final = (b"sRGB", "sRGB".encode("utf-16-be"))
_SPACES: Final = {b"RGB ": "RGB", b"CMYK": "CMYK"}


def to_srgb(image: Image.Image) -> Image.Image:
    """`image` in mode RGB: transparency on white, 16 bits scaled to 8, profile applied.

    Raises:
        PhotoUnsupported: its samples are 32-bit numbers, which have no agreed white.
    """
    profile = image.info.get("icc_profile") or b""
    if image.mode in ("I", "F"):
        raise PhotoUnsupported(
            "the picture has 32-bit samples, for which no brightness range is agreed",
            hint="save it with 8 or 16 bits per sample",
        )
    if image.mode.startswith("I;16"):
        image = _from_16_bits(image)
    if image.mode in ("RGB", "CMYK") and "transparency" not in image.info:
        return apply_profile(image, profile)
    return apply_profile(_on_white(image), profile)


def apply_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """`image` (mode RGB or CMYK) in sRGB, through its ICC `profile` where that is usable."""
    from PIL import ImageCms

    if needs_profile(profile) and _SPACES.get(profile[16:20]) == image.mode:
        try:
            converted = ImageCms.applyTransform(image, _transform(profile, image.mode))
        except (ImageCms.PyCMSError, OSError, ValueError):
            converted = None
        if converted is not None:
            return converted
    return image if image.mode == "RGB" else image.convert("RGB")


def needs_profile(profile: bytes) -> bool:
    """Whether `profile` is a colour profile of RGB or CMYK that is not named sRGB."""
    if len(profile) < 132 or profile[16:20] not in _SPACES:
        return False
    description = _description(profile)
    return not any(name in description for name in _SRGB_NAMES)


def array_to_rgb(pixels: Pixels) -> Pixels:
    """`(h, w)` grey, `(h, w, 3)` RGB or `(h, w, 4)` RGBA uint8 as `(h, w, 3)`; transparency on white."""
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape[2] == 3:
        return np.ascontiguousarray(pixels)
    alpha = pixels[:, :, 3:].astype(np.uint32)
    mixed = (pixels[:, :, :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return mixed.astype(np.uint8)


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    from PIL import ImageCms

    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")


def _description(profile: bytes) -> bytes:
    """The bytes of the profile's `desc` tag; empty where there is none."""
    count = int.from_bytes(profile[128:132], "big")
    for at in range(132, min(132 + 12 * count, len(profile) - 11), 12):
        if profile[at : at + 4] == b"desc":
            start = int.from_bytes(profile[at + 4 : at + 8], "big")
            return profile[start : start + int.from_bytes(profile[at + 8 : at + 12], "big")]
    return b""


def _from_16_bits(image: Image.Image) -> Image.Image:
    from PIL import Image as Pictures

    # Pillow's own conversion clips at 255, which turns every 16-bit photo white.
    deep = np.asarray(image).astype(np.uint32)
    return Pictures.fromarray(((deep * 255 + 32767) // 65535).astype(np.uint8))


def _on_white(image: Image.Image) -> Image.Image:
    from PIL import Image as Pictures

    if not image.has_transparency_data:
        return image.convert("RGB")
    layer = image.convert("RGBA")
    white = Pictures.new("RGBA", layer.size, (255, 255, 255, 255))
    return Pictures.alpha_composite(white, layer).convert("RGB")
