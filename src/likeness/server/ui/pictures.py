"""Pictures in pages: as data in the page itself, so that no picture of anybody lies in a file or at an address."""

from __future__ import annotations

import base64

import numpy as np
import simplejpeg
from PIL import Image

from likeness.service.enrolment import encode_crop
from likeness.types import Face, Photo, Pixels

SHOWN_SIDE_PX = 1100
"""Photos are shown no larger than this."""
SHOWN_QUALITY = 84


def data_url(jpeg: bytes) -> str:
    """A JPEG as an address that holds it."""
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def shown_photo(photo: Photo) -> str:
    """A photo as it is shown: upright, without what its file says of place and camera."""
    return data_url(encode(fitted(photo.pixels, SHOWN_SIDE_PX)))


def shown_crop(face: Face) -> str:
    """The face cut out of its photo; empty where it was not cut."""
    return "" if face.crop is None else data_url(encode_crop(face.crop))


def fitted(pixels: Pixels, side_px: int) -> Pixels:
    """The picture `(h, w, 3)`, smaller where its longer side is more than `side_px`."""
    height, width = pixels.shape[:2]
    factor = side_px / max(height, width)
    if factor >= 1:
        return np.ascontiguousarray(pixels)
    size = max(round(width * factor), 1), max(round(height * factor), 1)
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=2.0))


def encode(pixels: Pixels) -> bytes:
    """A picture `(h, w, 3)` as JPEG."""
    data: bytes = simplejpeg.encode_jpeg(pixels, quality=SHOWN_QUALITY, colorspace="RGB", colorsubsampling="420")
    return data
