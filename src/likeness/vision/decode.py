"""Photos to pixels: upright 8-bit RGB, or the reason why not.

The kind of a file is read from its bytes, its limits are checked before anything large is read or decoded,
and each kind of damage has its own error. JPEG goes through libjpeg-turbo (`likeness.vision.jpeg`), all else
through Pillow (`likeness.vision.rasters`).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from likeness.errors import PhotoCorrupt, PhotoError, PhotoTooLarge, PhotoTruncated, PhotoUnsupported
from likeness.types import Photo, Pixels
from likeness.vision import containers, jpeg, rasters
from likeness.vision.colour import array_to_rgb
from likeness.vision.files import read_photo_bytes
from likeness.vision.orientation import swaps_sides, turn_upright
from likeness.vision.sniff import sniff_kind

_JPEG_FACTORS: Final = (8, 4, 2)


@dataclass(frozen=True, slots=True)
class DecodeLimits:
    """What a photo may be, before it is decoded.

    Attributes:
        max_bytes: size of its file.
        max_pixels: width times height as its header says.
        min_side_px: its shorter side.
    """

    max_bytes: int = 64 * 1024 * 1024
    max_pixels: int = 100_000_000
    min_side_px: int = 8

    def __post_init__(self) -> None:
        if min(self.max_bytes, self.max_pixels, self.min_side_px) < 1:
            raise ValueError(f"expected limits of at least 1, got {self}")


DEFAULT_LIMITS: Final = DecodeLimits()


def decode_photo(
    source: bytes | bytearray | memoryview | str | os.PathLike[str],
    *,
    limits: DecodeLimits = DEFAULT_LIMITS,
    target_side_px: int | None = None,
) -> Photo:
    """Decode a photo, given as its path or as the bytes of its file.

    Args:
        limits: what is refused before it is decoded.
        target_side_px: where the longer side is at least twice this, the photo is decoded smaller, by a
            factor of 2, 4 or 8 for JPEG and any whole number otherwise, never below this side. `size_px`
            stays the full size.

    Returns:
        The photo: `(h, w, 3)` uint8 RGB in sRGB, contiguous, upright, transparency on white; of an animation
        or a file of several pages the first picture.

    Raises:
        PhotoMissing: no such file, a folder, or it may not be read.
        PhotoEmpty: no bytes.
        PhotoTooLarge: more bytes or pixels than `limits` allow.
        PhotoUnsupported: not a kind of picture that is read, a pipe or device, or smaller than `min_side_px`.
        PhotoTruncated: the file ends before its picture does.
        PhotoCorrupt: its contents contradict themselves.
    """
    if target_side_px is not None and target_side_px < 1:
        raise ValueError(f"expected target_side_px of at least 1, got {target_side_px}")
    data = read_photo_bytes(source, max_bytes=limits.max_bytes)
    kind = sniff_kind(data)
    decode = _decode_jpeg if kind == "jpeg" else _decode_raster
    try:
        with rasters.own_pillow():
            pixels, size_px, frames = decode(data, kind, limits, target_side_px)
    except (PhotoError, MemoryError):
        raise
    except Exception as error:
        # Pillow's plugins fail on damage with whatever the damage hit: struct.error, SyntaxError, KeyError …
        raise _explain(data, kind, error) from error
    return Photo(pixels, size_px, hashlib.sha256(data).hexdigest(), kind, frames)


def photo_from_array(pixels: NDArray[Any]) -> Photo:
    """A photo of pixels that are decoded already, such as a video's frame.

    Args:
        pixels: uint8, `(h, w)` grey, `(h, w, 3)` RGB or `(h, w, 4)` RGBA. RGB that is contiguous is not
            copied: do not write to it afterwards.

    Raises:
        PhotoUnsupported: another shape or type, or no pixels.
    """
    fits = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if not fits or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise PhotoUnsupported(
            f"expected uint8 pixels (h, w), (h, w, 3) or (h, w, 4), got {pixels.shape} {pixels.dtype}"
        )
    rgb = array_to_rgb(pixels)
    return Photo(rgb, (rgb.shape[1], rgb.shape[0]), hashlib.sha256(rgb.data).hexdigest(), "array")


def _decode_jpeg(
    data: bytes, kind: str, limits: DecodeLimits, target_side_px: int | None
) -> tuple[Pixels, tuple[int, int], int]:
    header = jpeg.read_jpeg_header(data)
    _check_pixels(header.size_px, limits)
    # Other factors exist (7/8, 3/8 …), but libjpeg-turbo has fast code only for these: the rest take longer
    # than 1.
    longest = max(header.size_px)
    factor = next((f for f in _JPEG_FACTORS if target_side_px and longest >= f * target_side_px), 1)
    pixels = turn_upright(jpeg.decode_jpeg(data, header, factor), header.orientation)
    width, height = header.size_px
    return pixels, (height, width) if swaps_sides(header.orientation) else (width, height), 1


def _decode_raster(
    data: bytes, kind: str, limits: DecodeLimits, target_side_px: int | None
) -> tuple[Pixels, tuple[int, int], int]:
    if kind == "png":
        containers.check_png_sums(data)
    if kind == "tiff" and containers.is_cut_off(data, kind):
        # Asked first, because libtiff writes its complaints straight to the process's standard error.
        raise PhotoTruncated("the TIFF ends before its picture does")
    if kind == "tiff":
        containers.check_tiff_directory(data)
    image = rasters.open_raster(data, kind)
    _check_pixels(image.size, limits)
    frames = containers.count_frames(data, kind) if kind in ("gif", "tiff") else getattr(image, "n_frames", 1)
    factor = max(max(image.size) // target_side_px, 1) if target_side_px else 1
    pixels = rasters.raster_pixels(image, factor)
    width, height = image.size
    orientation = rasters.raster_orientation(image, kind)
    upright = turn_upright(pixels, orientation)
    return upright, (height, width) if swaps_sides(orientation) else (width, height), max(int(frames), 1)


def _check_pixels(size_px: tuple[int, int], limits: DecodeLimits) -> None:
    width, height = size_px
    if width * height > limits.max_pixels:
        raise PhotoTooLarge(
            f"the photo has {width}x{height} pixels, more than max_pixels {limits.max_pixels}",
            hint="raise max_pixels, or save the photo smaller",
        )
    if min(width, height) < limits.min_side_px:
        raise PhotoUnsupported(
            f"the photo is {width}x{height} pixels, its shorter side below min_side_px {limits.min_side_px}",
            hint="pass a larger photo",
        )


def _explain(data: bytes, kind: str, error: Exception) -> PhotoError:
    """The error of the house for what a decoder raised on `data`."""
    name = kind.upper()
    if type(error).__name__ == "DecompressionBombError":
        return PhotoTooLarge(f"the {name} unfolds to more pixels than Pillow allows")
    if containers.is_cut_off(data, kind):
        return PhotoTruncated(f"the {name} ends before its picture does")
    if isinstance(error, ImportError):
        return PhotoUnsupported(f"this installation cannot read {name}", hint="install pillow-heif and Pillow whole")
    # Only the first line, and no more than fits a line: some decoders quote what they choked on.
    reason = (str(error).splitlines() or [""])[0][:120] or type(error).__name__
    return PhotoCorrupt(f"the {name} is damaged: {reason}")
